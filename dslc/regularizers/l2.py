"""l2: lambda / (2m) * sum W^2 (notes: 'l2 regularization', 'Frobenius norm')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array
from dslc.optimizers import W
from dslc.regularizers import Penalty
from dslc.scalar import Scalar


@dataclass(frozen=True)
class L2(Penalty):
    """lambda / (2m) * sum W^2, which shrinks weights in proportion to their size."""

    def penalty(self) -> Scalar:
        """lambda / 2 * w^2."""
        return 0.5 * self.strength * (W * W)

    def slope(self) -> Scalar:
        """lambda * w."""
        return self.strength * W

    def reference(self, w: Array, m: float) -> tuple[float, Array]:
        """lambda / (2m) * sum W^2 and lambda / m * W."""
        return self.strength / (2 * m) * (w**2).sum(), self.strength / m * w
