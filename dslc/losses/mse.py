"""mse: the mean squared error."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, variable

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Mse(ElementLoss):
    """The mean over mini-batch and outputs of (z - t)^2; a NaN target is missing."""

    weight: Positive = 1.0

    def value(self) -> Scalar:
        """(z - t)^2."""
        return (Z - T) * (Z - T)

    def slope(self) -> Scalar:
        """2 * (z - t)."""
        return 2 * (Z - T)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean((z - t)^2) and 2 * (z - t) / count over the targets that are present."""
        there, share = shares(target, weights)
        error = np.where(there, z - target, 0)
        return self.weight * (share * error**2).sum(), 2 * self.weight * share * error
