"""add: the sum of two or more values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import DY, Arithmetic, combined
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Add(Arithmetic):
    """y = a + b + ..."""

    examples = (
        Example("add", ((4,), (4,))),
        Example("add", ((3, 2, 5), (3, 2, 5), (3, 2, 5))),
        Example("add", ((3, 2, 5), (5,))),
        Example("add", ((3, 1, 5), (1, 7, 1))),
    )

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """x1 + x2 + ..."""
        return reduce(add, xs)

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy for every value."""
        return DY

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = xs[0] + xs[1] + ...; the gradient of every value is dy."""
        return combined(xs, lambda *a: sum(a[1:], a[0]), lambda dy, *a: (dy,) * len(a))

    def forward(self, site: Site) -> None:
        """One `add` of values of the same size, which may be fused into the operation before it; else one `combine`."""
        if len({x.shape for x in site.x}) == 1:
            site.op("add", "forward", site.x, (site.y,))
        else:
            super().forward(site)
