"""uniform: uniform between a and b."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.inits import Init
from dslc.language.arguments import BadValue, Number
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Uniform(Init):
    """Uniform in [a, b)."""

    a: Number
    b: Number

    def __post_init__(self) -> None:
        """Raises BadValue unless a is below b, and b - a a number."""
        if not self.a < self.b:
            raise BadValue(f"the lower end {self.a:g} must be below the upper one, {self.b:g}")
        if math.isinf(self.b - self.a):
            raise BadValue(f"the ends {self.a:g} and {self.b:g} are too far apart")

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Uniform in [a, b), whatever the size of the layer."""
        return random.uniform(self.a, self.b, shape)
