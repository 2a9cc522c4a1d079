"""constant: every element c."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.language.arguments import Number
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Constant(Init):
    """Every element c."""

    c: Number

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """c everywhere; draws nothing."""
        return np.full(shape, self.c)
