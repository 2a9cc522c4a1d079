"""l1: lambda / m * sum |W| (notes: 'l1 regularization')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np
from dslc.optimizers import W
from dslc.regularizers import Penalty
from dslc.scalar import Scalar, absolute, sign


@dataclass(frozen=True)
class L1(Penalty):
    """lambda / m * sum |W|: makes weights sparse. The slope at 0 is 0."""

    def penalty(self) -> Scalar:
        """lambda * |w|."""
        return self.strength * absolute(W)

    def slope(self) -> Scalar:
        """lambda * sign(w)."""
        return self.strength * sign(W)

    def reference(self, w: Array, m: float) -> tuple[float, Array]:
        """lambda / m * sum |W| and lambda / m * sign(W)."""
        return self.strength / m * np.abs(w).sum(), self.strength / m * np.sign(w)
