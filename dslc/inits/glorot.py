"""glorot: N(0, 2 / (n_in + n_out)) (notes: 'Other version'; Glorot and Bengio 2010)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Glorot(Init):
    """N(0, 2 / (fan_in + fan_out)), for symmetric activations (notes: 'Other version'; Glorot and Bengio 2010)."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Normal with standard deviation sqrt(2 / (fan_in + fan_out))."""
        return random.standard_normal(shape) * math.sqrt(2 / (fan_in + fan_out))
