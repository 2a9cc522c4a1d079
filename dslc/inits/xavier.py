"""xavier: N(0, 1 / n_in) (notes: 'Xavier initialization')."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Xavier(Init):
    """N(0, 1 / fan_in), for tanh (notes: 'Xavier initialization')."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Normal with standard deviation sqrt(1 / fan_in)."""
        return random.standard_normal(shape) * math.sqrt(1 / fan_in)
