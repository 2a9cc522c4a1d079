"""value: limits every element of every gradient to [-c, c] (Mikolov 2012)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.clips import Clip
from dslc.numerics import Array, np
from dslc.optimizers import G
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class Value(Clip):
    """Elements are clipped one by one, so the direction of the gradient may change."""

    def clipped(self) -> Scalar:
        """min(max(g, -c), c)."""
        return where(self.limit < G, self.limit, where(-self.limit > G, -self.limit, G))

    def reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """np.clip(g, -c, c) of every gradient."""
        return {name: np.clip(g, -self.limit, self.limit) for name, g in gradients.items()}
