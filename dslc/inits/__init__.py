"""How parameters start. One file an init: the file's name is its name in the language."""

from __future__ import annotations

from dslc.numerics import Array, np


class Init:
    """Base of all inits; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises SizeProblem where weights of this shape cannot start so."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Fresh values of this shape in float64."""
        raise NotImplementedError
