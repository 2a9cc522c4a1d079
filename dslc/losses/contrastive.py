"""contrastive: pulls pairs that belong together, and pushes others apart up to a margin (Hadsell et al. 2006)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, larger, variable

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Contrastive(ElementLoss):
    """The mean of (t z^2 + (1 - t) max(0, margin - z)^2) / 2 over distances z of pairs, with the target t = 1 for those
    that belong together, and 0 for others; a NaN target is missing."""

    margin: Positive = 1.0
    weight: Positive = 1.0

    metrics = ()

    @property
    def target_range(self) -> tuple[float, float] | None:
        """From 0 to 1."""
        return (0.0, 1.0)

    @property
    def numbers(self) -> bool:
        """Targets are no distances."""
        return False

    def _room(self) -> Scalar:
        return larger(self.margin - Z, 0)

    def value(self) -> Scalar:
        """(t z^2 + (1 - t) max(0, margin - z)^2) / 2."""
        return 0.5 * (T * Z * Z + (1 - T) * self._room() * self._room())

    def slope(self) -> Scalar:
        """t z - (1 - t) max(0, margin - z)."""
        return T * Z - (1 - T) * self._room()

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """The formula of the class and its derivative / count over the targets that are present."""
        there, share = shares(target, weights)
        t, room = np.where(there, target, 0), np.clip(self.margin - z, 0, None)
        losses = np.where(there, (t * z**2 + (1 - t) * room**2) / 2, 0)
        return self.weight * (share * losses).sum(), self.weight * share * (t * z - (1 - t) * room)
