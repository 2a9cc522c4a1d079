"""The common part of the layers that only put numbers in another order: two neighbouring axes change places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape


@dataclass(frozen=True)
class SwapDetail:
    """Of an example seen as (outer, first, second, inner), the axes in the middle change places."""

    outer: int
    first: int
    second: int
    inner: int

    @property
    def back(self) -> SwapDetail:
        """What undoes it."""
        return SwapDetail(self.outer, self.second, self.first, self.inner)


class Swapping(Layer):
    """A subclass says how an example is seen."""

    def swap(self, shape: Shape) -> SwapDetail:
        """The axes for an input of this shape."""
        raise NotImplementedError

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x seen as (n, outer, first, second, inner) with the middle axes swapped; dx swaps dy back."""
        x = xs[0]
        d = self.swap(x.shape[1:])
        seen = (len(x), d.outer, d.first, d.second, d.inner)
        y = x.reshape(seen).swapaxes(2, 3)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            return (dy.reshape(y.shape).swapaxes(2, 3).reshape(x.shape),), {}

        return Reference(y.reshape(len(x), *self.infer((x.shape[1:],))), pull)

    def forward(self, site: Site) -> None:
        """One `swap`."""
        site.op("swap", "forward", site.x, (site.y,), self.swap(site.input_shapes[0]))

    def backward(self, site: Site) -> None:
        """One `swap` of dy back."""
        if (dx := site.dx[0]) is not None:
            site.op("swap", "backward", (site.dy,), (dx,), self.swap(site.input_shapes[0]).back)
