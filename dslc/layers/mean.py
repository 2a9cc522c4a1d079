"""mean: the mean of two or more values, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Mean(Arithmetic):
    """y = (a + b + ...) / their number."""

    examples = (
        Example("mean", ((5,), (5,), (5,))),
        Example("mean", ((3, 4, 5), (3, 4, 1), (5,))),
    )

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """(x1 + x2 + ...) / k."""
        return reduce(add, xs) * (1 / len(xs))

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy / k for every value."""
        return DY * (1 / len(xs))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = (a + b + ...) / k; the gradient of every value is dy / k."""
        return combined(xs, lambda *a: sum(a[1:], a[0]) / len(a), lambda dy, *a: (dy / len(a),) * len(a))
