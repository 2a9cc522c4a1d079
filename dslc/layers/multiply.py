"""multiply: the product of two or more values, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import TypeVar

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.numerics import Array
from dslc.scalar import Scalar

T = TypeVar("T")


@dataclass(frozen=True)
class Multiply(Arithmetic):
    """y = a * b * ..."""

    examples = (
        Example("multiply", ((4,), (4,))),
        Example("multiply", ((3, 2, 5), (3, 2, 5), (3, 2, 5))),
        Example("multiply", ((3, 4, 5), (5,))),
        Example("multiply", ((2, 3, 17), (2, 3, 1), (17,))),
        Example("multiply", ((5,), (1,))),
    )

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """x1 * x2 * ..."""
        return reduce(mul, xs)

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy times all other values: there is no division by a factor, which may be zero."""
        return reduce(mul, _others(xs, number), DY)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a * b * ...; each factor gets dy times all others."""
        return combined(
            xs,
            lambda *a: reduce(mul, a),
            lambda dy, *a: (reduce(mul, _others(a, i), dy) for i in range(len(a))),
        )


def _others(factors: tuple[T, ...], number: int) -> tuple[T, ...]:
    """All but one of the factors."""
    return factors[:number] + factors[number + 1 :]
