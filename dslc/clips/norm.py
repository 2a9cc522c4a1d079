"""norm: scales all gradients by c / norm if their joint norm is larger than c (Pascanu et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.clips import SCALE, Clip
from dslc.numerics import Array, np
from dslc.optimizers import G
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Norm(Clip):
    """The norm is that of all gradients as one long vector, regularization included; its direction stays."""

    needs_all_gradients = True

    def clipped(self) -> Scalar:
        """scale * g."""
        return SCALE * G

    def reference(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Every gradient times min(1, c / norm), norm = sqrt(sum of all g^2)."""
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        scale = self.limit / norm if norm > self.limit else 1.0
        return {name: scale * g for name, g in gradients.items()}
