"""multiply: the product of two or more values of the same shape, element by element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import TypeVar

from dslc.layers import Example, Layer, Mode, Reference, require_alike
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape

T = TypeVar("T")


@dataclass(frozen=True)
class Multiply(Layer):
    """y = a * b * ..."""

    merges = True
    examples = (Example("multiply", ((4,), (4,))), Example("multiply", ((3, 2, 5), (3, 2, 5), (3, 2, 5))))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of all inputs. Raises SizeProblem if they differ."""
        return require_alike(inputs, "multiply")

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a * b * ...; each factor gets dy times all others."""
        return Reference(reduce(mul, xs), lambda dy: (tuple(reduce(mul, rest, dy) for rest in _others(xs)), {}))

    def forward(self, site: Site) -> None:
        """One `multiply`."""
        site.op("multiply", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """dy times all other inputs, for each input: there is no division by a factor, which may be zero."""
        for number, (dx, others) in enumerate(zip(site.dx, _others(site.x), strict=True), 1):
            if dx is not None:
                site.op("multiply", f"backward_{number}", (site.dy, *others), (dx,))


def _others(factors: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """For each factor all but it."""
    for i in range(len(factors)):
        yield factors[:i] + factors[i + 1 :]
