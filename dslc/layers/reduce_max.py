"""reduce_max: the largest number along some axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from dslc.layers import Example, Mode, Reference
from dslc.layers._reduction import Reduction
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class ReduceMaxDetail:
    """Of an example seen as (outer, size, inner) the largest along the axis in the middle is taken."""

    outer: int
    size: int
    inner: int


@dataclass(frozen=True)
class ReduceMax(Reduction):
    """y = the largest of x along `axes`, which lie side by side; of equal ones the first gets the gradient."""

    smooth = False
    examples = (
        Example("reduce_max(channels)", ((5, 3),)),
        Example("reduce_max(rows, keep=on)", ((3, 4, 70),)),
        Example("reduce_max((rows, columns))", ((3, 2, 5),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """As of every reduction. Raises SizeProblem also for rows and channels without the columns between them."""
        over = self.over(inputs[0])
        if over[-1] - over[0] >= len(over):
            raise SizeProblem(
                "reduce_max goes along neighbouring axes: between rows and channels are columns", argument="axes",
                notes=("help: reduce one after another: reduce_max(rows, keep=on) -> reduce_max(channels)",),
            )  # fmt: skip
        return super().infer(inputs)

    def _detail(self, shape: Shape) -> ReduceMaxDetail:
        over = self.over(shape)
        return ReduceMaxDetail(prod(shape[: over[0]]), self.count(shape), prod(shape[over[-1] + 1 :]))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = max of x; dy goes to the first largest."""
        shape = xs[0].shape[1:]
        d = self._detail(shape)
        seen = xs[0].reshape(-1, d.outer, d.size, d.inner)
        first = np.arange(d.size)[:, None] == seen.argmax(axis=2)[:, :, None]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            return ((first * dy.reshape(-1, d.outer, 1, d.inner)).reshape(xs[0].shape),), {}

        return Reference(seen.max(axis=2).reshape(len(xs[0]), *self.infer((shape,))), pull)

    def forward(self, site: Site) -> None:
        """One `reduce_max`."""
        site.op("reduce_max", "forward", site.x, (site.y,), self._detail(site.input_shapes[0]))

    def backward(self, site: Site) -> None:
        """One `reduce_max_gradient`, which finds the largest in x again."""
        if (dx := site.dx[0]) is not None:
            detail = self._detail(site.input_shapes[0])
            site.op("reduce_max_gradient", "backward", (site.dy, site.x[0]), (dx,), detail)
