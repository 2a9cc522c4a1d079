"""values: exactly the numbers given, such as a filter for edges (notes: 'Edge Detection Example')."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from dslc.inits import Init
from dslc.language.arguments import Numbers
from dslc.numerics import Array, np
from dslc.shape import SizeProblem, show_shape


@dataclass(frozen=True)
class Values(Init):
    """The numbers of one unit or filter after the other; in a filter row by row, the channels of a pixel together."""

    elementwise: ClassVar[bool] = False
    numbers: Numbers

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises SizeProblem unless there is exactly one number for each weight."""
        wanted, found = prod(shape), len(self.numbers)
        if found != wanted:
            raise SizeProblem(
                f"values lists {found} number{'s' * (found != 1)} for {wanted} weight{'s' * (wanted != 1)}",
                f"the weights have the shape {show_shape(shape)}",
                ("help: write one filter or unit after another, each row by row",), "init",
            )  # fmt: skip

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """The numbers as (units, inputs), or as (rows, columns, channels, filters); draws nothing."""
        if len(shape) == 2:
            return np.reshape(self.numbers, shape)
        return np.moveaxis(np.reshape(self.numbers, (shape[-1], *shape[:-1])), 0, -1)
