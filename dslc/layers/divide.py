"""divide: the quotient of two values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Divide(Arithmetic):
    """y = a / b; by zero it is infinite or NaN, as in C."""

    most = 2
    smooth = False
    examples = (
        Example("divide", ((5,), (5,))),
        Example("divide", ((2, 3, 4), (2, 3, 1))),
        Example("divide", ((3,), (3, 2, 3))),
    )

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """x1 / x2."""
        return xs[0] / xs[1]

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy / b for a, -dy / b * (a / b) for b."""
        a, b = xs
        return -(DY / b) * (a / b) if number else DY / b

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a / b; the gradients are dy / b and -dy a / b^2."""
        return combined(xs, lambda a, b: a / b, lambda dy, a, b: (dy / b, -dy * a / b**2))
