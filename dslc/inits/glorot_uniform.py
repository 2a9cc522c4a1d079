"""glorot_uniform: uniform with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class GlorotUniform(Init):
    """Uniform with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Uniform in [-b, b) with b = sqrt(6 / (fan_in + fan_out)), since a uniform distribution has the variance b^2 /
        3."""
        bound = np.sqrt(6 / (fan_in + fan_out))
        return random.uniform(-bound, bound, shape)
