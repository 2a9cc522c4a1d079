"""permute: the axes of a value in another order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Annotated

from dslc.language.arguments import AxisOrder
from dslc.layers import Example, Layer, Mode, Reference
from dslc.layers._swapping import SwapDetail
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import Tensor
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class Permute(Layer):
    """Axis i of the result is axis order[i] of the input, as in numpy.transpose; the axes of an example count from
    0."""

    order: Annotated[tuple[int, ...], AxisOrder()]

    examples = (Example("permute((1, 0))", ((3, 5),)), Example("permute((2, 1, 0))", ((2, 3, 4),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The sizes in the new order. Raises SizeProblem unless the input has so many axes."""
        if len(self.order) != len(inputs[0]):
            axes = "axis" if len(inputs[0]) == 1 else "axes"
            raise SizeProblem(
                f"{show_shape(inputs[0])} has {len(inputs[0])} {axes}, and this order {len(self.order)}",
                argument="order",
            )
        return tuple(inputs[0][axis] for axis in self.order)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x with its axes permuted; dx permutes dy back."""
        order = (0, *(axis + 1 for axis in self.order))
        back = tuple(order.index(axis) for axis in range(len(order)))
        return Reference(xs[0].transpose(order), lambda dy: ((dy.transpose(back),), {}))

    def forward(self, site: Site) -> None:
        """A `swap` of neighbouring axes, or two."""
        _swap(site, "forward", site.x[0], site.y, swaps(site.input_shapes[0], self.order))

    def backward(self, site: Site) -> None:
        """The same backwards."""
        if (dx := site.dx[0]) is not None and site.dy is not None:
            back = [d.back for d in reversed(swaps(site.input_shapes[0], self.order))]
            _swap(site, "backward", site.dy, dx, back)


def swaps(shape: Shape, order: tuple[int, ...]) -> list[SwapDetail]:
    """What brings the axes of a shape into this order: neighbouring axes, or runs of axes that stay together, change
    places."""
    found: list[SwapDetail] = []
    now = list(range(len(order)))
    for place, axis in enumerate(order):
        at = now.index(axis)
        if at == place:
            continue
        end = at + 1
        while end < len(now) and now[end] == order[place + end - at]:
            end += 1
        sizes = [prod(shape[i] for i in now[a:b]) for a, b in pairwise((0, place, at, end, len(now)))]
        found.append(SwapDetail(*sizes))
        now = [*now[:place], *now[at:end], *now[place:at], *now[end:]]
    return found


def _swap(site: Site, job: str, x: Tensor, y: Tensor, details: list[SwapDetail]) -> None:
    if not details:
        site.op("identity", job, (x,), (y,))
        return
    for number, d in enumerate(details, 1):
        last = number == len(details)
        result = y if last else Tensor(f"{site.name}_{job}_{number}", (x.elements,))
        site.op("swap", job if last else f"{job}_{number}", (x,), (result,), d)
        x = result
