"""norm: all gradients times c / norm where their common norm is larger than c (Pascanu et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.clips import SCALE, Clip
from dslc.numerics import Array, np
from dslc.optimizers import G
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Norm(Clip):
    """The norm is that of one long vector of all gradients, regularization included; its direction stays."""

    together = True

    def clipped(self) -> Scalar:
        return SCALE * G

    def reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        scale = self.limit / norm if norm > self.limit else 1.0
        return {name: scale * g for name, g in gradients.items()}
