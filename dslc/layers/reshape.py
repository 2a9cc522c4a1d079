"""reshape: the same numbers in another shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.language.arguments import ShapeOf
from dslc.layers import Example, Mode, Passing, Reference
from dslc.numerics import Array
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Reshape(Passing):
    """The same numbers in a new shape, row by row, channels last."""

    size: ShapeOf

    examples = (Example("reshape(4x3x2)", ((24,),)), Example("reshape(2x2x6)", ((4, 3, 2),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """`size`. Raises SizeProblem if it has another number of elements than the input."""
        if prod(self.size) != prod(inputs[0]):
            raise SizeProblem(
                f"{show_shape(inputs[0])} has {prod(inputs[0])} elements, "
                f"{show_shape(self.size)} has {prod(self.size)}",
                argument="size",
            )
        return self.size

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x.reshape(n, *size); dx = dy.reshape(x.shape)."""
        x = xs[0]
        return Reference(x.reshape(len(x), *self.size), lambda dy: ((dy.reshape(x.shape),), {}))
