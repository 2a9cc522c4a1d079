"""binary_hinge: max(0, 1 - s z) with s = -1 for no and +1 for yes (Cortes and Vapnik 1995)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, variable, where

Z, T = variable("z"), variable("t")
SIGN = 2 * T - 1
SHORT = 1 - SIGN * Z
"""How far the output is below the margin."""


@dataclass(frozen=True)
class BinaryHinge(ElementLoss):
    """The mean over mini-batch and outputs; targets are 0 and 1, taken as -1 and +1; a NaN target is missing. An output
    of 0 or more means yes. The slope at the margin itself is 0."""

    weight: Positive = 1.0

    metrics = ("accuracy",)
    scores = True
    binary = True
    threshold = 0.0

    def value(self) -> Scalar:
        """max(0, 1 - s * z) with s = 2 * t - 1."""
        return where(SHORT < 0, 0, SHORT)

    def slope(self) -> Scalar:
        """-s below the margin, else 0."""
        return where(SHORT > 0, -SIGN, 0)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(max(0, 1 - s * z)) and -s * (s * z < 1) / count over the targets that are present."""
        there, share = shares(target, weights)
        sign = np.where(there, 2 * target - 1, 0)
        short = np.where(there, 1 - sign * z, 0)
        losses, slopes = np.where(short < 0, 0, short), np.where(short > 0, -sign, 0)
        return self.weight * (share * losses).sum(), self.weight * share * slopes
