"""ones: every element 1."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Ones(Init):
    """Every element 1."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """1 everywhere; draws nothing."""
        return np.ones(shape)
