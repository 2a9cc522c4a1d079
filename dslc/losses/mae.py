"""mae: the mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, sign, variable

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Mae(ElementLoss):
    """The mean over mini-batch and outputs of |z - t|, with slope 0 where they are equal; a NaN target is missing."""

    weight: Positive = 1.0

    def value(self) -> Scalar:
        """z - t|."""
        return absolute(Z - T)

    def slope(self) -> Scalar:
        """The sign of z - t."""
        return sign(Z - T)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(|z - t|) and sign(z - t) / count over the targets that are present."""
        there, share = shares(target, weights)
        error = np.where(there, z - target, 0)
        return self.weight * (share * np.abs(error)).sum(), self.weight * share * np.sign(error)
