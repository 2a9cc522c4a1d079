"""reduce_sum: the sum along some axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dslc.layers import Example, Mode, Reference
from dslc.layers._arithmetic import CombineDetail
from dslc.layers._reduction import Reduction
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.scalar import Scalar, variable
from dslc.shape import Shape


@dataclass(frozen=True)
class ReduceSum(Reduction):
    """y = the sum of x along `axes`."""

    examples: ClassVar[tuple[Example, ...]] = (
        Example("reduce_sum(channels)", ((5, 3),)),
        Example("reduce_sum((rows, channels), keep=on)", ((3, 4, 17),)),
        Example("reduce_sum(features)", ((70,),)),
    )

    def factor(self, shape: Shape) -> float:
        """What the sum is multiplied by."""
        return 1.0

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = factor * sum of x; dx = factor * dy for each number."""
        shape = xs[0].shape[1:]
        factor, axes = self.factor(shape), tuple(axis + 1 for axis in self.over(shape))
        y = factor * xs[0].sum(axis=axes)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            wide = dy.reshape(len(dy), *self.seen(shape))
            return (factor * np.broadcast_to(wide, xs[0].shape),), {}

        return Reference(y.reshape(len(y), *self.infer((shape,))), pull)

    def forward(self, site: Site) -> None:
        """One `combine` whose result is summed along the axes."""
        shape = site.input_shapes[0]
        detail = CombineDetail(self._scaled("x1", shape), ("x1",), shape, (shape, self.seen(shape)))
        site.op("combine", "forward", site.x, (site.y,), detail)

    def backward(self, site: Site) -> None:
        """One `combine` of dy, which counts for every number."""
        if (dx := site.dx[0]) is not None:
            shape = site.input_shapes[0]
            detail = CombineDetail(self._scaled("dy", shape), ("dy",), shape, (self.seen(shape), shape))
            site.op("combine", "backward", (site.dy,), (dx,), detail)

    def _scaled(self, name: str, shape: Shape) -> Scalar:
        factor = self.factor(shape)
        return variable(name) if factor == 1 else variable(name) * factor
