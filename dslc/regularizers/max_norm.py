"""max_norm: limits the norm of the weights into each unit (Srivastava et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np
from dslc.regularizers import Constraint


@dataclass(frozen=True)
class MaxNorm(Constraint):
    """After the update, a row of a dense layer's weights or a whole filter (rows, columns, channels) with a Euclidean
    norm above c is scaled down to the norm c; its direction stays. Biases are left alone."""

    def reference(self, w: Array, units: int) -> Array:
        """w * min(1, c / norm), with the norm over all axes but `units`."""
        others = tuple(axis for axis in range(w.ndim) if axis != units)
        norms = np.sqrt((w**2).sum(axis=others, keepdims=True))
        return np.where(norms > self.strength, w * (self.strength / np.maximum(norms, self.strength)), w)
