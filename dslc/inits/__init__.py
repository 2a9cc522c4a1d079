"""Initial values of parameters. One file per init: the file's name is its name in the language."""

from __future__ import annotations

from typing import ClassVar

from dslc.numerics import Array, np


class Init:
    """Base class of all inits; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    elementwise: ClassVar[bool] = True
    """Whether numbers are drawn one after another, each on its own, so that a part may be drawn at a time."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises SizeProblem if the init cannot fill weights of this shape."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """New values of this shape, float64. `fan_in` and `fan_out` are the inputs and outputs of one unit or
        filter."""
        raise NotImplementedError
