"""uniform: uniform between a and b."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.language.arguments import Number
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Uniform(Init):
    """Uniform in [a, b)."""

    a: Number
    b: Number

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Uniform in [a, b), whatever the size of the layer."""
        return random.uniform(self.a, self.b, shape)
