"""What a kernel assumes about its tensors: sizes, layouts, alignment, workspace. Each is derived here again from the
operation, independently of the kernel's own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

from dslc import kernels
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import INPUT, Tensor
from dslc.plan import Buffer, Kernel, Plan
from dslc.planning.plan_error import require

Buffers = Mapping[Tensor, "Buffer | None"]
"""The buffers of a kernel's tensors; None for an array of the caller."""


def numbers(buffer: Buffer, batch: int) -> int:
    """How many numbers a tensor takes for a full mini-batch, with the blocked axis and the interleaved examples rounded
    up to whole blocks."""
    layout, sizes = buffer.layout, list(buffer.layout.shape)
    if layout.width:
        sizes[layout.axis] = _whole(sizes[layout.axis], layout.width)
    return prod(sizes) * (_whole(batch, layout.examples) if buffer.tensor.batched else 1)


def _whole(count: int, width: int) -> int:
    return -(-count // width) * width


def check_kernel(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """Checks that the tensors of a kernel are as it assumes. Raises PlanError if one is not."""
    op, variant = kernel.operation, kernel.variant
    named = len(variant.arguments)
    require(named == len(buffers), f"{op.name} has {len(buffers)} arrays but {named} argument names")
    _check_examples(kernel, buffers, plan)
    _check_aligned(kernel, buffers, plan)
    _check_scratch(kernel, buffers, plan)
    if check := CHECKS.get(op.kind):
        check(_KernelCheck(kernel, buffers, plan))


def _layout(tensor: Tensor, buffers: Buffers) -> Layout:
    buffer = buffers[tensor]
    return buffer.layout if buffer else Layout(tensor.shape)


def _check_examples(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """Exactly the tensors that the kernel expects so have one example per lane."""
    op, lanes = kernel.operation, plan.target.lanes(plan.itemsize)
    reads, writes = ({_layout(t, buffers).examples for t in some if t.batched} for some in (op.reads, op.writes))
    found = reads | writes
    if op.kind in ("to_lanes", "from_lanes"):
        fine = (reads, writes) == (({1}, {lanes}) if op.kind == "to_lanes" else ({lanes}, {1}))
    elif op.kind in ("dense_input_gradient", "dense_backward"):
        fine = found <= {1, lanes}
    elif op.choice == "lanes":
        fine = found == {lanes}
    else:
        fine = len(found) <= 1 and (found <= {1} or (found == {lanes} and kernels.keeps_layout(op)))
    require(fine, f"{op.name} gets a tensor with examples in lanes where it expects the plain layout, or the reverse")


def _check_aligned(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """What a kernel assumes to be aligned is: it is in the arena, and pixels are whole vectors."""
    op, variant = kernel.operation, kernel.variant
    require(not variant.context.get("far") or "out" in variant.aligned,
           f"{op.name} uses non-temporal stores but does not require aligned vectors")  # fmt: skip
    named = dict(zip(variant.arguments, buffers, strict=False))
    for name in variant.aligned:
        buffer = buffers[named[name]]
        require(buffer is not None, f"{op.name} assumes that {named[name].name}, the caller's array, is aligned")
        assert buffer is not None
        pixel = buffer.layout.stored[-1] * buffer.layout.examples * plan.itemsize
        bytes_of_vector = plan.target.lanes(plan.itemsize) * plan.itemsize
        aligned = buffer.offset * plan.itemsize % bytes_of_vector == 0 and pixel % bytes_of_vector == 0
        require(aligned, f"{op.name} assumes that the vectors of {named[name].name} are aligned, but they are not")


def _check_scratch(kernel: Kernel, buffers: Buffers, plan: Plan) -> None:
    """The workspace is as large as the kernel asks for. The check of its kind says how much it really needs."""
    op, variant = kernel.operation, kernel.variant
    own = op.writes[len(op.writes) - len(variant.scratch) :]
    for scratch, tensor in zip(variant.scratch, own, strict=True):
        right = tensor.name == f"{op.name}_{scratch.name}" and tensor.elements == scratch.elements
        require(right, f"{op.name} asks for {scratch.elements} numbers of {scratch.name} but gets {tensor.name}")
    threads = variant.context.get("threads", plan.threads)
    require(threads == plan.threads, f"{op.name} is made for {threads} threads")


# ------------------------------------------------------------------------------------------------ by kind


class _KernelCheck:
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
        itself, a sequence of all pixels."""
        d: Any = self.op.detail
        alone = isinstance(d, ConvDetail) and d.size == d.stride == (1, 1) and d.before == (0, 0)
        sequence = (shape[0] * shape[1], shape[2])
        known = shape[0] == 1 or (alone and d.input[:2] == d.output[:2])
        self.shape(tensor, shape, *((sequence,) if known else ()))

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
        found = _layout(tensor, self.buffers)
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
        found = _layout(tensor, self.buffers)
        fine = found.stored == layout.stored and (found.width == 0 or found.axis == layout.axis)
        require(fine, f"{self.op.name} wants {tensor.name} stored as {layout.describe()}, not as {found.describe()}")

    def at_least(self, what: str, found: int, needed: int) -> None:
        """There are no fewer than `needed` numbers of `what`."""
        require(found >= needed, f"{self.op.name} needs {needed} numbers of {what} but has {found}")

    def scratch(self, name: str) -> int:
        """The size of a workspace of the kernel; 0 if it has none of this name."""
        return next((s.elements for s in self.variant.scratch if s.name == name), 0)


def _window(d: ConvDetail) -> tuple[int, int, int]:
    """The shape of the image that windows slide over: unchanged if none crosses an edge, else padded to their reach."""
    rows, columns = ((d.output[i] - 1) * d.stride[i] + (d.size[i] - 1) * d.dilation[i] + 1 for i in (0, 1))
    inside = d.before == (0, 0) and rows <= d.input[0] and columns <= d.input[1]
    return (d.input[0], d.input[1], d.input[2]) if inside else (rows, columns, d.input[2])


def _back(d: ConvDetail) -> ConvDetail:
    """The convolution that computes dx from dy."""
    top, left = ((d.size[i] - 1) * d.dilation[i] - d.before[i] for i in (0, 1))
    return replace(d, input=d.output, output=d.input, before=(top, left))


def _conv_forward(seen: _KernelCheck) -> None:
    d = _conv(seen)
    x, w, y = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    stored = (d.output[0] // 2, d.output[1] // 2, d.output[2]) if seen.op.pooled else d.output
    seen.image(y, stored)
    if seen.op.choice.startswith("winograd"):
        _winograd(seen, d)
        return
    padded = seen.op.choice in ("direct", "lanes")
    seen.image(x, _window(d) if padded else d.input)
    seen.filters(w, d, seen.op.choice in ("direct", "bands"))
    if seen.op.choice == "bands":
        c, window = seen.context, (d.size[0] - 1) * d.dilation[0] + 1
        seen.at_least("a band's rows", c["band_rows"], (c["at_once"] - 1) * d.stride[0] + window)
        seen.at_least("the bands' results", c["at_once"] * c["tasks_of_image"], d.output[0])
        seen.at_least("bands", seen.scratch("bands"), seen.threads * c["band_rows"] * _window(d)[1] * d.input[2])


def _conv_input_gradient(seen: _KernelCheck) -> None:
    d = _conv(seen)
    dy, w, dx = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    seen.image(dx, d.input)
    if seen.op.choice.startswith("winograd"):
        _winograd(seen, _back(d))
        return
    seen.image(dy, _window(_back(d)) if seen.op.choice == "gather" else d.output)
    if seen.op.choice in ("gather", "scatter"):
        seen.shape(w, (*d.size, d.output[2] // d.groups, d.input[2]))
        seen.blocked(w, 3)
    else:
        seen.filters(w, d, blocked=False)


def _conv_weight_gradient(seen: _KernelCheck) -> None:
    d = _conv(seen)
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    seen.image(x, d.input if seen.op.choice == "plain" else _window(d))
    seen.image(dy, d.output)
    seen.filters(dw, d, seen.op.choice == "direct")
    if seen.op.choice == "lanes":
        seen.at_least("sums", seen.scratch("sums"), prod(dw.shape) * seen.lanes)


def _conv(seen: _KernelCheck) -> ConvDetail:
    detail = seen.op.detail
    assert isinstance(detail, ConvDetail)
    return detail


def _winograd(seen: _KernelCheck, d: ConvDetail) -> None:
    """The workspace of every thread is large enough, the transformed filters have the stride that the C uses, and
    vectors are read beyond the last pixel only in the arena."""
    c, x, filters = seen.context, seen.op.reads[0], seen.op.reads[1]
    outputs, taps = (int(n) for n in seen.op.choice.removeprefix("winograd").split("x"))
    elements, lanes = (outputs + taps - 1) ** 2, seen.lanes
    channels, blocks = _whole(d.input[2], lanes), -(-d.output[2] // lanes)
    seen.shape(x, d.input)
    seen.at_least("an element's filters", c["filter_step"], d.input[2] * lanes)
    require(_layout(filters, seen.buffers).stored == (blocks, elements, c["filter_step"] // lanes, lanes),
           f"{seen.op.name} reads {filters.name} in another layout than it has")  # fmt: skip
    height = c["tiles"].heights[0]
    room = _whole(c["at_once"], height)
    seen.at_least("room for squares", c["room"], room)
    seen.at_least("an element's squares", c["square_step"], channels * c["room"])
    seen.at_least("an element's products", c["result_step"], _whole(blocks, 2) * c["room"] * lanes)
    seen.at_least("squares", seen.scratch("squares"), seen.threads * elements * c["square_step"])
    seen.at_least("products", seen.scratch("products"), seen.threads * elements * c["result_step"])
    reads_on = c["whole"] and d.input[2] % lanes
    require(not reads_on or x.role != INPUT, f"{seen.op.name} reads past the end of {x.name}, the caller's array")


def _winograd_filters(seen: _KernelCheck) -> None:
    w, transformed = seen.op.reads[0], seen.op.writes[0]
    seen.blocked(w, 3)
    found = _layout(transformed, seen.buffers)
    blocks = -(-w.shape[3] // seen.lanes)
    step = found.stored[2] * seen.lanes
    require(found.stored[:1] == (blocks,), f"{seen.op.name} writes {blocks} blocks to {transformed.name}")
    seen.at_least("an element's filters", step, w.shape[2] * seen.lanes)
    require(step == seen.context["filter_step"] and found.stored[1] == seen.context["elements"],
           f"{seen.op.name} writes {transformed.name} in another layout than it has")  # fmt: skip


def _winograd_weight_products(seen: _KernelCheck) -> None:
    made: Any = seen.op.detail
    c, d, lanes = seen.context, made.conv, seen.lanes
    (x, dy), sums = seen.op.reads[:2], seen.op.writes[0]
    outputs, taps = (int(n) for n in seen.op.choice.removeprefix("winograd").split("x"))
    elements, blocks = (outputs + taps - 1) ** 2, -(-d.output[2] // lanes)
    seen.shape(x, d.input)
    seen.shape(dy, d.output)
    seen.at_least("an element's sums", c["sum_step"], d.input[2] * lanes)
    seen.at_least(sums.name, sums.elements, c["chunks"] * blocks * elements * c["sum_step"])
    seen.at_least("a square", c["row"], _whole(d.input[2], lanes))
    seen.at_least("an element's squares", c["square_step"], c["at_once"] * c["row"])
    seen.at_least("an element's errors", c["error_step"], _whole(blocks, 2) * c["at_once"] * lanes)
    # Either every thread has its own squares, or all share them in two buffers: one is read while the other is written.
    own = seen.threads if c["chunks"] > 1 else 1
    places = own if c["chunks"] > 1 else min(2, seen.threads)
    seen.at_least("squares", seen.scratch("squares"), places * elements * c["square_step"])
    seen.at_least("errors", seen.scratch("errors"), own * elements * c["error_step"])


def _winograd_weight_gradient(seen: _KernelCheck) -> None:
    c, sums, dw = seen.context, seen.op.reads[0], seen.op.writes[0]
    seen.blocked(dw, 3)
    blocks = -(-dw.shape[3] // seen.lanes)
    seen.at_least(sums.name, sums.elements, c["chunks"] * blocks * c["size"] ** 2 * c["sum_step"])


def _combine(seen: _KernelCheck) -> None:
    """Everything read is broadcast to the operation's places, and so is the result, which is summed where it is
    smaller."""
    d: Any = seen.op.detail
    for tensor, shape in zip((*seen.op.reads, *seen.op.writes), d.seen, strict=True):
        fits = prod(shape) == tensor.elements and len(shape) == len(d.shape)
        fits = fits and all(n in (1, size) for n, size in zip(shape, d.shape, strict=True))
        require(fits, f"{seen.op.name} broadcasts {tensor.name} of {tensor.shape} to {d.shape}")
    alike = all(tensor.elements == prod(d.shape) for tensor in (*seen.op.reads, *seen.op.writes))
    require(alike or seen.variant.name != "plain", f"{seen.op.name} passes over tensors of several sizes as one")


def _pad(seen: _KernelCheck) -> None:
    d: Any = seen.op.detail
    seen.image(seen.op.reads[0], d.input)
    seen.image(seen.op.writes[0], d.output)


def _box(seen: _KernelCheck) -> None:
    """The box lies inside of the image, and both are as large as their tensors."""
    d: Any = seen.op.detail
    image, box = (seen.op.writes[0], seen.op.reads[0])[:: 1 if seen.op.kind == "place" else -1]
    for tensor, shape in ((image, d.image), (box, d.box)):
        require(tensor.elements == prod(shape), f"{seen.op.name} takes {tensor.name} for {shape}")
    for start, size, all_of_it in zip(d.start, d.box, d.image, strict=True):
        require(start >= 0 and start + size <= all_of_it, f"{seen.op.name} reaches beyond {image.name}")


def _resize(seen: _KernelCheck) -> None:
    """One side has the size of the small image, the other `scale` times as many rows and columns."""
    d: Any = seen.op.detail
    large = (d.input[0] * d.scale[0], d.input[1] * d.scale[1], d.input[2])
    sides = (d.input, large) if seen.op.kind == "resize" else (large, d.input)
    for tensor, shape in zip((seen.op.reads[0], seen.op.writes[0]), sides, strict=True):
        seen.shape(tensor, shape)


def _swap(seen: _KernelCheck) -> None:
    """All numbers of an example are moved."""
    d: Any = seen.op.detail
    for tensor in (seen.op.reads[0], seen.op.writes[0]):
        seen.at_least(tensor.name, tensor.elements, d.outer * d.first * d.second * d.inner)


def _turn(seen: _KernelCheck) -> None:
    """Rows of the one are columns of the other."""
    w, turned = seen.op.reads[0], seen.op.writes[0]
    seen.shape(turned, w.shape[::-1])
    for tensor in (w, turned):
        seen.rows(tensor)


def _weights(seen: _KernelCheck, w: Tensor, units: int, inputs: int) -> None:
    """A dense layer's weights: plain for few units, else blocked along the units."""
    seen.shape(w, (units, inputs))
    seen.plain(w) if 2 * units <= seen.lanes else seen.blocked(w, 0)


def _dense_forward(seen: _KernelCheck) -> None:
    x, w, y = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, w, y.elements, x.elements)


def _dense_input_gradient(seen: _KernelCheck) -> None:
    dy, w, dx = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, w, dy.elements, dx.elements)
    if seen.variant.name == "few":
        require(dx.elements >= seen.lanes, f"{seen.op.name} has fewer inputs than a task")
    wanted = 1 if 2 * dy.elements <= seen.lanes or seen.variant.name == "few" else seen.lanes
    found = _layout(dy, seen.buffers).examples
    require(found == wanted, f"{seen.op.name} wants {wanted} examples of {dy.name} interleaved, but there are {found}")
    if seen.variant.name == "streamed":
        seen.at_least("sums", seen.scratch("sums"), dx.elements * seen.lanes)


def _dense_weight_gradient(seen: _KernelCheck) -> None:
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, dw, dy.elements, x.elements)


def _dense_backward(seen: _KernelCheck) -> None:
    x, dy, in_lanes, dw = *seen.op.reads[:3], seen.op.writes[1]
    _weights(seen, dw, dy.elements, x.elements)
    sides = tuple(_layout(t, seen.buffers).examples for t in (x, dy, in_lanes))
    require(sides == (1, 1, seen.lanes), f"{seen.op.name} wants interleaved examples in {in_lanes.name} only")
    seen.at_least("sums", seen.scratch("sums"), x.elements * seen.lanes)


def _bf16_product(seen: _KernelCheck) -> None:
    """Rows of pairs times panels of pairs, with room for the last one."""
    d: Any = seen.op.detail
    x, panels, y = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    summed, columns = (d.units, d.inputs) if d.backward else (d.inputs, d.units)
    pairs = (summed + 1) // 2
    seen.at_least("pairs of an example", x.elements, d.steps * pairs)
    require(x.shape[-1] == pairs, f"{seen.op.name} reads {pairs} pairs in a row of {x.name}, not {x.shape[-1]}")
    seen.shape(panels, (columns, pairs))
    seen.blocked(panels, 0)
    require(y.elements == d.steps * columns, f"{seen.op.name} writes {y.name} with other sizes than it has")


def _bf16_weight_gradient(seen: _KernelCheck) -> None:
    """Pairs of rows take half of the room of rows."""
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    seen.shape(dw, (dy.shape[-1], x.shape[-1]))
    seen.blocked(dw, 0)
    require(x.shape[:-1] == dy.shape[:-1], f"{seen.op.name} reads as many rows of {x.name} as of {dy.name}")
    for tensor in (x, dy):
        seen.plain(tensor)


def _bf16_panels(seen: _KernelCheck) -> None:
    """Panels of weights become panels of pairs of inputs, or turned ones of pairs of units."""
    w, panels = seen.op.reads[0], seen.op.writes[0]
    turned = seen.op.kind == "bf16_turned_panels"
    columns, summed = w.shape[::-1] if turned else w.shape
    seen.blocked(w, 0)
    seen.shape(panels, (columns, (summed + 1) // 2))
    seen.blocked(panels, 0)


def _bf16_rows(seen: _KernelCheck) -> None:
    x, rounded = seen.op.reads[0], seen.op.writes[0]
    numbers = (x.shape[-1] + 1) // 2 if seen.op.kind == "bf16_rows" else x.shape[-1]
    seen.shape(rounded, (*x.shape[:-1], numbers))
    seen.plain(x)
    seen.plain(rounded)


def _elementwise(seen: _KernelCheck) -> None:
    """Arrays that belong to one parameter have the same layout."""
    w = seen.op.reads[0]
    for other in (t for t in (*seen.op.reads, *seen.op.writes) if t.shape == w.shape):
        seen.has_layout(other, _layout(w, seen.buffers))
    if seen.op.kind == "update":
        stored = prod(_layout(w, seen.buffers).stored)
        require(
            seen.context["elements"] == stored,
            f"{seen.op.name} processes {seen.context['elements']} of {stored} numbers",
        )


def _embedding(seen: _KernelCheck) -> None:
    """Every part lies inside of both sides, and every table has a row for each of its values."""
    d: Any = seen.op.detail
    gradient = seen.op.kind == "embedding_gradient"
    x, y = seen.op.reads[0], seen.op.reads[1] if gradient else seen.op.writes[0]
    seen.shape(x, (d.rows * d.inputs,))
    seen.shape(y, (d.outputs,) if d.rows == 1 else (d.rows, d.outputs), (d.rows, d.outputs))
    tables = iter(seen.op.writes if gradient else seen.op.reads[1:])
    for part in d.parts:
        seen.at_least(x.name, d.inputs, part.start + (1 if part.values else part.size))
        seen.at_least(y.name, d.outputs, part.out + part.size)
        if part.values:
            table = next(tables)
            seen.shape(table, (part.values, part.size))
            seen.rows(table)


def _steps_pool(seen: _KernelCheck) -> None:
    """A length for each example, of at most all steps, and a number a channel on one side."""
    d: Any = seen.op.detail
    sequence, few = (d.steps, d.channels), ((d.channels,), (1, d.channels))
    x, lengths, y = *seen.op.reads[:2], seen.op.writes[0]
    if seen.op.kind == "steps_pool_gradient":
        x, y = y, x
        for again in seen.op.reads[2:]:
            seen.shape(again, sequence)
    seen.shape(x, sequence)
    seen.shape(y, *few)
    seen.shape(lengths, (1,))


def _matmul(seen: _KernelCheck) -> None:
    """Whole matrices on all sides, and room for what each thread packs; else nothing is read behind the caller's
    array."""
    d: Any = seen.op.detail
    first, second = seen.op.reads[0], seen.op.reads[-1]
    for tensor, each in (
        (first, d.rows * d.summed),
        (second, d.summed * d.columns),
        (seen.op.writes[0], d.rows * d.columns),
    ):
        found = tensor.elements == d.matrices * each
        require(found, f"{seen.op.name} takes {tensor.name} for {d.matrices} matrices of {each} numbers")
    packed = d.summed * _whole(d.columns, seen.lanes)
    if not seen.scratch("packed"):
        fits = not d.turned[1] and (second.role != INPUT or d.columns % seen.lanes == 0)
        require(fits, f"{seen.op.name} reads past the end of {second.name}, the caller's array")
    else:
        seen.at_least("a thread's columns", seen.context["each"], packed)
        seen.at_least("packed", seen.scratch("packed"), seen.threads * seen.context["each"])


def _reduce_max(seen: _KernelCheck) -> None:
    """All numbers of an example on one side, and one of each axis on the other."""
    d: Any = seen.op.detail
    many, few = seen.op.reads[-1], seen.op.writes[0]
    if seen.op.kind == "reduce_max_gradient":
        few = seen.op.reads[0]
        require(seen.op.writes[0].elements == many.elements, f"{seen.op.name} writes a gradient of another size")
    fits = many.elements == d.outer * d.size * d.inner and few.elements == d.outer * d.inner
    require(fits, f"{seen.op.name} takes {many.name} for {d.outer}x{d.size}x{d.inner} numbers")


def _lengths(seen: _KernelCheck) -> None:
    """One number for all words of an example."""
    d: Any = seen.op.detail
    seen.shape(seen.op.reads[0], (d.steps,))
    seen.shape(seen.op.writes[0], (1,))


def _attention(seen: _KernelCheck) -> None:
    """Queries, keys and values lie side by side, those of a memory apart from the queries, and each thread has room for
    what is turned, for some rows of weights, and on the way back for the gradients of all keys and values."""
    d: Any = seen.op.detail
    back = seen.op.kind == "attention_gradient"
    tensors: list[tuple[Tensor, tuple[int, ...]]]
    width = d.heads * d.size
    result = (d.steps, width)
    sums = [(d.steps, width), (d.keys, 2 * width)] if d.crossed else [(d.steps, 3 * width)]
    reads = seen.op.reads[: len(seen.op.reads) - d.masked]
    written = [t for t in seen.op.writes if t.batched]
    if back:
        dy, *given, y, logs = reads
        tensors = [(dy, result), (y, result), (logs, (d.heads, d.steps))]
        tensors += [*zip(given, sums, strict=True), *zip(written, sums, strict=True)]
    else:
        tensors = [*zip(reads, sums, strict=True), *zip(written, (result, (d.heads, d.steps)), strict=False)]
    if d.masked:
        tensors.append((seen.op.reads[-1], (1,)))
    for tensor, shape in tensors:
        seen.shape(tensor, shape)
        seen.plain(tensor)
    require(
        all(t.role != INPUT for t, shape in tensors if shape != (1,)), f"{seen.op.name} reads past the caller's array"
    )
    keys, wide = _whole(d.keys, seen.lanes), _whole(d.size, seen.lanes)
    heads = seen.context["heads"]
    rows = min(heads.block, d.steps) if back else heads.heights[0]
    each = (d.size + rows) * keys
    seen.at_least("a thread's room", seen.context["each"], 2 * (each + d.keys * wide) if back else each)
    seen.at_least("room", seen.scratch("room"), seen.threads * seen.context["each"])


def _ctc(seen: _KernelCheck) -> None:
    """Logits of all steps, room for all labels, and for each thread the states of the steps."""
    d: Any = seen.op.detail
    z, target = seen.op.reads[:2]
    seen.shape(z, (d.steps, d.classes), *([(d.classes,)] if d.steps == 1 else []))
    seen.shape(target, (d.labels,))
    if d.timed:
        seen.shape(seen.op.reads[3], (1,))
    states, back = 2 * d.labels + 1, len([t for t in seen.op.writes if t.batched]) > 1
    seen.at_least("a thread's room", seen.context["each"], (d.steps + 2 if back else 2) * states + d.steps)
    seen.at_least("room", seen.scratch("room"), seen.threads * seen.context["each"])


def _recurrence(seen: _KernelCheck) -> None:
    """The sums of all steps, weights in blocks of units, and a state for every example."""
    d: Any = seen.op.detail
    sums, w, *others = seen.op.reads
    seen.shape(sums, (d.steps, d.gates * d.units))
    seen.shape(w, (d.gates * d.units, d.units))
    seen.blocked(w, 0)
    if d.masked:
        seen.shape(others[-1], (1,))
    y, *kept = seen.op.writes[: len(seen.op.writes) - len(seen.variant.scratch)]
    seen.shape(y, (d.units,) if d.last else (d.steps, d.units))
    for tensor, each in zip(kept, (d.kept, 1, 1), strict=False):
        seen.shape(tensor, (d.steps, each * d.units))
    sizes = {"own": d.gates * d.units, "hidden": d.units, "cell": d.units if d.cell == "lstm" else 0}
    for name, each in sizes.items():
        seen.at_least(name, seen.scratch(name), seen.plan.batch * each)


def _recurrence_gradient(seen: _KernelCheck) -> None:
    """The gradient of the result among that of both directions, what was kept, and weights in blocks of the state."""
    d: Any = seen.op.detail
    dy, gates, *others = seen.op.reads
    seen.shape(dy, (d.width,) if d.last else (d.steps, d.width))
    seen.at_least(dy.name, d.width, d.start + d.units)
    seen.shape(gates, (d.steps, d.kept * d.units))
    if d.cell in ("gru", "lstm"):
        seen.shape(others.pop(0), (d.steps, d.units))
    seen.shape(others[0], (1, 1, d.gates * d.units, d.units))
    seen.blocked(others[0], 3)
    if d.masked:
        seen.shape(others[1], (1,))
    for tensor in seen.op.writes[: len(seen.op.writes) - len(seen.variant.scratch)]:
        seen.shape(tensor, (d.steps, d.gates * d.units))
    for name, each in {"dh": d.units, "dc": d.units if d.cell == "lstm" else 0}.items():
        seen.at_least(name, seen.scratch(name), seen.plan.batch * each)


def _begin_sum(check: _KernelCheck) -> None:
    """The gradients of a bucket lie one after the other: they are added up as one array."""
    places = [buffer for buffer in check.buffers.values() if buffer is not None]
    for before, after in pairwise(places):
        together = before.offset + before.elements == after.offset
        require(together, f"{check.op.name} adds up {after.tensor.name} with what lies elsewhere")


CHECKS: Mapping[str, Callable[[_KernelCheck], None]] = {
    "attention": _attention,
    "attention_gradient": _attention,
    "begin_sum": _begin_sum,
    "bf16_panels": _bf16_panels,
    "bf16_product": _bf16_product,
    "bf16_row_pairs": _bf16_rows,
    "bf16_rows": _bf16_rows,
    "bf16_turned_panels": _bf16_panels,
    "bf16_weight_gradient": _bf16_weight_gradient,
    "combine": _combine,
    "conv_forward": _conv_forward,
    "conv_input_gradient": _conv_input_gradient,
    "conv_weight_gradient": _conv_weight_gradient,
    "ctc": _ctc,
    "cut": _box,
    "dense_backward": _dense_backward,
    "dense_forward": _dense_forward,
    "dense_input_gradient": _dense_input_gradient,
    "dense_weight_gradient": _dense_weight_gradient,
    "embedding": _embedding,
    "embedding_gradient": _embedding,
    "fold_batchnorm": _elementwise,
    "lengths": _lengths,
    "matmul": _matmul,
    "pad": _pad,
    "place": _box,
    "recurrence": _recurrence,
    "recurrence_gradient": _recurrence_gradient,
    "reduce_max": _reduce_max,
    "reduce_max_gradient": _reduce_max,
    "regularizer_gradient": _elementwise,
    "resize": _resize,
    "resize_gradient": _resize,
    "steps_pool": _steps_pool,
    "steps_pool_gradient": _steps_pool,
    "swap": _swap,
    "turn": _turn,
    "update": _elementwise,
    "winograd_filters": _winograd_filters,
    "winograd_weight_gradient": _winograd_weight_gradient,
    "winograd_weight_products": _winograd_weight_products,
}
"""By kind of operation, if its tensors may have sizes other than their shapes say, or several layouts."""
