"""normal: N(0, std^2)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.language.arguments import Positive
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Normal(Init):
    """N(0, std^2), whatever the size of the layer."""

    std: Positive

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Normal with standard deviation std."""
        return random.standard_normal(shape) * self.std
