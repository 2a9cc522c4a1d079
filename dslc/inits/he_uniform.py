"""he_uniform: uniform with variance 2 / n_in (He et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.numerics import Array, np


@dataclass(frozen=True)
class HeUniform(Init):
    """Uniform with variance 2 / n_in (He et al. 2015)."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Uniform in [-b, b) with b = sqrt(6 / fan_in), since a uniform distribution has the variance b^2 / 3."""
        bound = np.sqrt(6 / fan_in)
        return random.uniform(-bound, bound, shape)
