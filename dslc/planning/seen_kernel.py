"""A kernel as it stands in a plan, and what the checks of several kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Tensor
from dslc.plan import Buffer, Kernel, Plan
from dslc.planning.plan_error import require

Buffers = Mapping[Tensor, "Buffer | None"]
"""The buffers of a kernel's tensors; None for an array of the caller."""


def numbers(buffer: Buffer, batch: int) -> int:
    """How many numbers a tensor takes for a full mini-batch, with the blocked axis and the interleaved examples rounded
    up to whole blocks."""
    layout, sizes = buffer.layout, list(buffer.layout.shape)
    if layout.width:
        sizes[layout.axis] = whole_blocks(sizes[layout.axis], layout.width)
    return prod(sizes) * (whole_blocks(batch, layout.examples) if buffer.tensor.batched else 1)


def whole_blocks(count: int, width: int) -> int:
    """`count`, rounded up to whole blocks of `width`."""
    return -(-count // width) * width


def layout_in(tensor: Tensor, buffers: Buffers) -> Layout:
    """How a tensor is stored; an array of the caller is plain."""
    buffer = buffers[tensor]
    return buffer.layout if buffer else Layout(tensor.shape)


class SeenKernel:
    """A kernel with its buffers and plan, and the checks that the kinds share. Each raises PlanError."""

    def __init__(self, kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
        self.op, self.variant, self.buffers, self.plan = kernel.operation, kernel.variant, buffers, plan
        self.context: Mapping[str, Any] = kernel.variant.context
        self.lanes, self.threads = plan.target.lanes(plan.itemsize), plan.threads

    def shape(self, tensor: Tensor, *shapes: tuple[int, ...]) -> None:
        """The tensor has one of these shapes."""
        known = tensor.shape in shapes
        require(known, f"{self.op.name} expects {tensor.name} to have the shape {shapes[0]}, but it is {tensor.shape}")

    def image(self, tensor: Tensor, shape: tuple[int, ...]) -> None:
        """The tensor is an image of this shape, or a sequence that is one of a single row; where every pixel is by
        itself, a sequence of all pixels, or a vector that is one of them."""
        d: Any = self.op.detail
        alone = isinstance(d, ConvDetail) and d.size == d.stride == (1, 1) and d.before == (0, 0)
        sequence = (shape[0] * shape[1], shape[2])
        known = shape[0] == 1 or (alone and d.input[:2] == d.output[:2])
        vector = [shape[2:]] if alone and shape[:2] == (1, 1) else []
        self.shape(tensor, shape, *((sequence, *vector) if known else ()))

    def filters(self, w: Tensor, d: ConvDetail, blocked: bool) -> None:
        """The filters of a convolution; without rows those of a sequence. Dense weights are filters of one pixel, but
        only in blocks of units."""
        whole = (*d.size, d.input[2] // d.groups, d.output[2])
        shapes = [whole, *([whole[1:]] if d.size[0] == 1 else [])]
        if blocked and d.size == (1, 1) and d.groups == 1:
            shapes.append((d.output[2], d.input[2]))
        self.shape(w, *shapes)
        dense = len(w.shape) == 2
        self.blocked(w, 0 if dense else len(w.shape) - 1) if blocked else self.plain(w)

    def rows(self, tensor: Tensor) -> None:
        """The tensor is stored as its shape says, or in blocks of its rows."""
        found = layout_in(tensor, self.buffers)
        self.blocked(tensor, 0) if found.width else self.plain(tensor)

    def plain(self, tensor: Tensor) -> None:
        """The tensor is stored as its shape says."""
        self.has_layout(tensor, Layout(tensor.shape))

    def blocked(self, tensor: Tensor, axis: int) -> None:
        """The tensor is stored in blocks of one vector along an axis."""
        require(axis < len(tensor.shape), f"{self.op.name} expects weights, but {tensor.name} is {tensor.shape}")
        self.has_layout(tensor, Layout(tensor.shape, axis, self.lanes))

    def has_layout(self, tensor: Tensor, layout: Layout) -> None:
        """The tensor is stored in this layout, or in one with the same order in memory."""
        found = layout_in(tensor, self.buffers)
        fine = found.stored == layout.stored and (found.width == 0 or found.axis == layout.axis)
        require(fine, f"{self.op.name} wants {tensor.name} stored as {layout.describe()}, not as {found.describe()}")

    def at_least(self, what: str, found: int, needed: int) -> None:
        """There are no fewer than `needed` numbers of `what`."""
        require(found >= needed, f"{self.op.name} needs {needed} numbers of {what} but has {found}")

    def scratch(self, name: str) -> int:
        """The size of a workspace of the kernel; 0 if it has none of this name."""
        return next((s.elements for s in self.variant.scratch if s.name == name), 0)
