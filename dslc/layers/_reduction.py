"""The common part of the layers that make one number of all numbers along some axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Annotated

from dslc.language.arguments import AxisNames, Flag
from dslc.layers import Layer
from dslc.shape import Shape, SizeProblem, describe

AXES = {1: ("features",), 2: ("steps", "channels"), 3: ("rows", "columns", "channels")}
"""The names of the axes of a vector, a sequence and an image."""


@dataclass(frozen=True)
class Reduction(Layer):
    """Along the axes of these names; with `keep` they stay, with one place each."""

    axes: Annotated[tuple[str, ...], AxisNames()]
    keep: Flag = False

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The sizes of the other axes, and 1 for these where they are kept; one number where none is left. Raises
        SizeProblem for the name of an axis that the input has not."""
        over = self.over(inputs[0])
        kept = tuple(1 if axis in over else n for axis, n in enumerate(inputs[0]) if self.keep or axis not in over)
        return kept or (1,)

    def over(self, shape: Shape) -> tuple[int, ...]:
        """The numbers of the axes."""
        known = AXES[len(shape)]
        for name in self.axes:
            if name not in known:
                raise SizeProblem(
                    f"{describe(shape)} has no axis called {name}",
                    notes=(f"help: its axes: {', '.join(known)}",), argument="axes",
                )  # fmt: skip
        return tuple(sorted(known.index(name) for name in self.axes))

    def seen(self, shape: Shape) -> Shape:
        """The result with as many axes as the input."""
        over = self.over(shape)
        return tuple(1 if axis in over else n for axis, n in enumerate(shape))

    def count(self, shape: Shape) -> int:
        """How many numbers become one."""
        return prod(shape[axis] for axis in self.over(shape))
