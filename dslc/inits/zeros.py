"""zeros: every element 0."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Zeros(Init):
    """Every element 0."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """0 everywhere; draws nothing."""
        return np.zeros(shape)
