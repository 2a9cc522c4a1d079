"""Kernels that take numbers one by one, move them, or add up arrays that lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import prod
from typing import Any

from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import SeenKernel, layout_in


def _combine(seen: SeenKernel) -> None:
    """Everything read is broadcast to the operation's places, and so is the result, which is summed where it is
    smaller."""
    d: Any = seen.op.detail
    for tensor, shape in zip((*seen.op.reads, *seen.op.writes), d.seen, strict=True):
        fits = prod(shape) == tensor.elements and len(shape) == len(d.shape)
        fits = fits and all(n in (1, size) for n, size in zip(shape, d.shape, strict=True))
        require(fits, f"{seen.op.name} broadcasts {tensor.name} of {tensor.shape} to {d.shape}")
    alike = all(tensor.elements == prod(d.shape) for tensor in (*seen.op.reads, *seen.op.writes))
    require(alike or seen.variant.name != "plain", f"{seen.op.name} passes over tensors of several sizes as one")


def _box(seen: SeenKernel) -> None:
    """The box lies inside of the image, and both are as large as their tensors."""
    d: Any = seen.op.detail
    image, box = (seen.op.writes[0], seen.op.reads[0])[:: 1 if seen.op.kind == "place" else -1]
    for tensor, shape in ((image, d.image), (box, d.box)):
        require(tensor.elements == prod(shape), f"{seen.op.name} takes {tensor.name} for {shape}")
    for start, size, all_of_it in zip(d.start, d.box, d.image, strict=True):
        require(start >= 0 and start + size <= all_of_it, f"{seen.op.name} reaches beyond {image.name}")


def _resize(seen: SeenKernel) -> None:
    """One side has the size of the small image, the other `scale` times as many rows and columns."""
    d: Any = seen.op.detail
    large = (d.input[0] * d.scale[0], d.input[1] * d.scale[1], d.input[2])
    sides = (d.input, large) if seen.op.kind == "resize" else (large, d.input)
    for tensor, shape in zip((seen.op.reads[0], seen.op.writes[0]), sides, strict=True):
        seen.shape(tensor, shape)


def _swap(seen: SeenKernel) -> None:
    """All numbers of an example are moved."""
    d: Any = seen.op.detail
    for tensor in (seen.op.reads[0], seen.op.writes[0]):
        seen.at_least(tensor.name, tensor.elements, d.outer * d.first * d.second * d.inner)


def _turn(seen: SeenKernel) -> None:
    """Rows of the one are columns of the other."""
    w, turned = seen.op.reads[0], seen.op.writes[0]
    seen.shape(turned, w.shape[::-1])
    for tensor in (w, turned):
        seen.rows(tensor)


def _elementwise(seen: SeenKernel) -> None:
    """Arrays that belong to one parameter have the same layout."""
    w = seen.op.reads[0]
    for other in (t for t in (*seen.op.reads, *seen.op.writes) if t.shape == w.shape):
        seen.has_layout(other, layout_in(w, seen.buffers))
    if seen.op.kind == "update":
        stored = prod(layout_in(w, seen.buffers).stored)
        require(
            seen.context["elements"] == stored,
            f"{seen.op.name} processes {seen.context['elements']} of {stored} numbers",
        )


def _reduce_max(seen: SeenKernel) -> None:
    """All numbers of an example on one side, and one of each axis on the other."""
    d: Any = seen.op.detail
    many, few = seen.op.reads[-1], seen.op.writes[0]
    if seen.op.kind == "reduce_max_gradient":
        few = seen.op.reads[0]
        require(seen.op.writes[0].elements == many.elements, f"{seen.op.name} writes a gradient of another size")
    fits = many.elements == d.outer * d.size * d.inner and few.elements == d.outer * d.inner
    require(fits, f"{seen.op.name} takes {many.name} for {d.outer}x{d.size}x{d.inner} numbers")


def _begin_sum(check: SeenKernel) -> None:
    """The gradients of a bucket lie one after the other: they are added up as one array."""
    places = [buffer for buffer in check.buffers.values() if buffer is not None]
    for before, after in pairwise(places):
        together = before.offset + before.elements == after.offset
        require(together, f"{check.op.name} adds up {after.tensor.name} with what lies elsewhere")


CHECKS: Mapping[str, Callable[[SeenKernel], None]] = {
    "begin_sum": _begin_sum,
    "combine": _combine,
    "cut": _box,
    "fold_batchnorm": _elementwise,
    "place": _box,
    "reduce_max": _reduce_max,
    "reduce_max_gradient": _reduce_max,
    "regularizer_gradient": _elementwise,
    "resize": _resize,
    "resize_gradient": _resize,
    "swap": _swap,
    "turn": _turn,
    "update": _elementwise,
}
"""By kind of operation."""
