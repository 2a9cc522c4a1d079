"""slice: some features of a vector, or some channels of an image or a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Annotated

from dslc.language.arguments import Count, Whole
from dslc.layers import Example, Layer, Mode, Reference
from dslc.layers._boxes import BoxDetail
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Slice(Layer):
    """The channels from `start` up to `end`, which is not among them; they count from 0."""

    start: Annotated[int, Whole(0)]
    end: Count

    examples = (
        Example("slice(0, 3)", ((7,),)),
        Example("slice(2, 4)", ((3, 4, 5),)),
        Example("slice(1, 4)", ((3, 5),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The last axis has end - start numbers. Raises SizeProblem if the input has not so many, or none is left."""
        if self.end <= self.start:
            raise SizeProblem("the slice is empty: end must be more than start", argument="end")
        if self.end > inputs[0][-1]:
            what = "features" if len(inputs[0]) == 1 else "channels"
            raise SizeProblem(
                f"the slice ends at {self.end}, but {show_shape(inputs[0])} has {inputs[0][-1]} {what}", argument="end"
            )
        return (*inputs[0][:-1], self.end - self.start)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """end - start."""
        return f"{self.end} - {self.start} = {self.end - self.start}"

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x[..., start:end]; the gradient of all else is 0."""

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(xs[0])
            dx[..., self.start : self.end] = dy
            return (dx,), {}

        return Reference(xs[0][..., self.start : self.end], pull)

    def _detail(self, site: Site) -> BoxDetail:
        """All pixels as one row of them."""
        shape = site.input_shapes[0]
        pixels = prod(shape[:-1])
        return BoxDetail((pixels, 1, shape[-1]), (pixels, 1, self.end - self.start), (0, 0, self.start))

    def forward(self, site: Site) -> None:
        """One `cut` of x."""
        site.op("cut", "forward", site.x, (site.y,), self._detail(site))

    def backward(self, site: Site) -> None:
        """One `place` of dy among zeros."""
        if (dx := site.dx[0]) is not None:
            site.op("place", "backward", (site.dy,), (dx,), self._detail(site))
