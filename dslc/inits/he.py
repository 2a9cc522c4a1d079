"""he: N(0, 2 / n_in) (notes: 'He Initialization'; He et al. 2015)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class He(Init):
    """N(0, 2 / fan_in), which keeps the variance through relu layers (notes: 'He Initialization'; He et al. 2015)."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Normal with standard deviation sqrt(2 / fan_in)."""
        return random.standard_normal(shape) * math.sqrt(2 / fan_in)
