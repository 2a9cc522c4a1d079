"""l1: lambda / m * sum |W| (notes: 'l1 regularization')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np
from dslc.optimizers import W
from dslc.regularizers import Penalty
from dslc.scalar import Scalar, absolute, sign


@dataclass(frozen=True)
class L1(Penalty):
    """Makes weights sparse; the slope at 0 is 0."""

    def penalty(self) -> Scalar:
        return self.strength * absolute(W)

    def slope(self) -> Scalar:
        return self.strength * sign(W)

    def reference(self, w: Array, m: int) -> tuple[float, Array]:
        return self.strength / m * np.abs(w).sum(), self.strength / m * np.sign(w)
