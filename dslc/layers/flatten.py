"""flatten: an image as a vector, row by row, channels last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.layers import Example, Mode, Passing, Reference
from dslc.numerics import Array
from dslc.shape import Shape


@dataclass(frozen=True)
class Flatten(Passing):
    """(h, w, c) becomes (h*w*c,)."""

    examples = (Example("flatten", ((3, 4, 2),)),)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (h * w * c,)."""
        return (prod(inputs[0]),)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """`h * w * c` with its numbers."""
        return " * ".join(str(n) for n in inputs[0]) if len(inputs[0]) > 1 else ""

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x.reshape(n, -1); dx = dy.reshape(x.shape)."""
        x = xs[0]
        return Reference(x.reshape(len(x), -1), lambda dy: ((dy.reshape(x.shape),), {}))
