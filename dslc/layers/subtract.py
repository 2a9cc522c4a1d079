"""subtract: the difference of two values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Subtract(Arithmetic):
    """y = a - b."""

    most = 2
    examples = (
        Example("subtract", ((3, 2, 5), (3, 2, 5))),
        Example("subtract", ((7,), (3, 4, 7))),
        Example("subtract", ((3, 2, 4), (1, 2, 4))),
    )

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """x1 - x2."""
        return xs[0] - xs[1]

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy for the first, -dy for the second."""
        return -DY if number else DY

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a - b; the gradients are dy and -dy."""
        return combined(xs, lambda a, b: a - b, lambda dy, a, b: (dy, -dy))
