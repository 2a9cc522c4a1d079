"""The common part of `maximum` and `minimum`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import ClassVar

from dslc.layers import Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


class Extreme(Arithmetic):
    """The largest or smallest of the values at each place. Ties go to the first, as in max pooling."""

    smooth = False
    largest: ClassVar[bool]

    def _beats(self, x: Scalar, y: Scalar) -> Scalar:
        """Whether x wins against a value behind it."""
        return x >= y if self.largest else y >= x

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """The winner of all, one after the other."""
        return reduce(lambda best, x: where(self._beats(best, x), best, x), xs)

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy where the value wins against every other, else 0."""
        own, formula = xs[number], DY
        for i, other in enumerate(xs):
            if i < number:
                formula = where(self._beats(other, own), 0, formula)
            elif i > number:
                formula = where(self._beats(own, other), formula, 0)
        return formula

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = max or min over the stacked values; dy goes to the first that is y."""

        def stacked(values: tuple[Array, ...]) -> Array:
            sign = 1 if self.largest else -1
            return np.stack(np.broadcast_arrays(*(sign * v for v in values)))

        def slopes(dy: Array, *values: Array) -> list[Array]:
            winner = stacked(values).argmax(axis=0)
            return [np.where(winner == i, dy, 0) for i in range(len(values))]

        return combined(xs, lambda *v: stacked(v).max(axis=0) * (1 if self.largest else -1), slopes)
