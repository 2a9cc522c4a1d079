"""triplet: an example must be nearer to one of its kind than to another, by a margin (Schroff et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, constant, larger, variable, where

Z = variable("z")


@dataclass(frozen=True)
class Triplet(ElementLoss):
    """The mean of max(0, z + margin) over outputs z = distance(anchor, positive) - distance(anchor, negative). Targets
    say only which count: a NaN does not."""

    margin: Positive = 1.0
    weight: Positive = 1.0

    @property
    def numbers(self) -> bool:
        """Targets are not compared with outputs."""
        return False

    def value(self) -> Scalar:
        """max(0, z + margin)."""
        return larger(Z + self.margin, 0)

    def slope(self) -> Scalar:
        """1 where z + margin is above 0, else 0."""
        return where(Z + self.margin > constant(0), 1, 0)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(max(0, z + margin)) and (z + margin > 0) / count over the targets that are present."""
        there, share = shares(target, weights)
        missing = np.where(there, z + self.margin, 0)
        return self.weight * (share * np.clip(missing, 0, None)).sum(), self.weight * share * (missing > 0)
