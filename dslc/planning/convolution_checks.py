"""Convolutions: their images with halos, filters, and what Winograd's algorithms transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from dslc.layers.conv import ConvDetail
from dslc.operation import INPUT
from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import SeenKernel, layout_in, whole_blocks


def _window(d: ConvDetail) -> tuple[int, int, int]:
    """The shape of the image that windows slide over: unchanged if none crosses an edge, else padded to their reach."""
    rows, columns = ((d.output[i] - 1) * d.stride[i] + (d.size[i] - 1) * d.dilation[i] + 1 for i in (0, 1))
    inside = d.before == (0, 0) and rows <= d.input[0] and columns <= d.input[1]
    return (d.input[0], d.input[1], d.input[2]) if inside else (rows, columns, d.input[2])


def _back(d: ConvDetail) -> ConvDetail:
    """The convolution that computes dx from dy."""
    top, left = ((d.size[i] - 1) * d.dilation[i] - d.before[i] for i in (0, 1))
    return replace(d, input=d.output, output=d.input, before=(top, left))


def _conv_forward(seen: SeenKernel) -> None:
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


def _conv_input_gradient(seen: SeenKernel) -> None:
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


def _conv_weight_gradient(seen: SeenKernel) -> None:
    d = _conv(seen)
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    seen.image(x, d.input if seen.op.choice == "plain" else _window(d))
    seen.image(dy, d.output)
    seen.filters(dw, d, seen.op.choice == "direct")
    if seen.op.choice == "lanes":
        seen.at_least("sums", seen.scratch("sums"), prod(dw.shape) * seen.lanes)


def _conv(seen: SeenKernel) -> ConvDetail:
    detail = seen.op.detail
    assert isinstance(detail, ConvDetail)
    return detail


def _winograd(seen: SeenKernel, d: ConvDetail) -> None:
    """The workspace of every thread is large enough, the transformed filters have the stride that the C uses, and
    vectors are read beyond the last pixel only in the arena."""
    c, x, filters = seen.context, seen.op.reads[0], seen.op.reads[1]
    outputs, taps = (int(n) for n in seen.op.choice.removeprefix("winograd").split("x"))
    elements, lanes = (outputs + taps - 1) ** 2, seen.lanes
    channels, blocks = whole_blocks(d.input[2], lanes), -(-d.output[2] // lanes)
    seen.shape(x, d.input)
    seen.at_least("an element's filters", c["filter_step"], d.input[2] * lanes)
    require(layout_in(filters, seen.buffers).stored == (blocks, elements, c["filter_step"] // lanes, lanes),
           f"{seen.op.name} reads {filters.name} in another layout than it has")  # fmt: skip
    height = c["tiles"].heights[0]
    room = whole_blocks(c["at_once"], height)
    seen.at_least("room for squares", c["room"], room)
    seen.at_least("an element's squares", c["square_step"], channels * c["room"])
    seen.at_least("an element's products", c["result_step"], whole_blocks(blocks, 2) * c["room"] * lanes)
    seen.at_least("squares", seen.scratch("squares"), seen.threads * elements * c["square_step"])
    seen.at_least("products", seen.scratch("products"), seen.threads * elements * c["result_step"])
    reads_on = c["whole"] and d.input[2] % lanes
    require(not reads_on or x.role != INPUT, f"{seen.op.name} reads past the end of {x.name}, the caller's array")


def _winograd_filters(seen: SeenKernel) -> None:
    w, transformed = seen.op.reads[0], seen.op.writes[0]
    seen.blocked(w, 3)
    found = layout_in(transformed, seen.buffers)
    blocks = -(-w.shape[3] // seen.lanes)
    step = found.stored[2] * seen.lanes
    require(found.stored[:1] == (blocks,), f"{seen.op.name} writes {blocks} blocks to {transformed.name}")
    seen.at_least("an element's filters", step, w.shape[2] * seen.lanes)
    require(step == seen.context["filter_step"] and found.stored[1] == seen.context["elements"],
           f"{seen.op.name} writes {transformed.name} in another layout than it has")  # fmt: skip


def _winograd_weight_products(seen: SeenKernel) -> None:
    made: Any = seen.op.detail
    c, d, lanes = seen.context, made.conv, seen.lanes
    (x, dy), sums = seen.op.reads[:2], seen.op.writes[0]
    outputs, taps = (int(n) for n in seen.op.choice.removeprefix("winograd").split("x"))
    elements, blocks = (outputs + taps - 1) ** 2, -(-d.output[2] // lanes)
    seen.shape(x, d.input)
    seen.shape(dy, d.output)
    seen.at_least("an element's sums", c["sum_step"], d.input[2] * lanes)
    seen.at_least(sums.name, sums.elements, c["chunks"] * blocks * elements * c["sum_step"])
    seen.at_least("a square", c["row"], whole_blocks(d.input[2], lanes))
    seen.at_least("an element's squares", c["square_step"], c["at_once"] * c["row"])
    seen.at_least("an element's errors", c["error_step"], whole_blocks(blocks, 2) * c["at_once"] * lanes)
    # Either every thread has its own squares, or all share them in two buffers: one is read while the other is written.
    own = seen.threads if c["chunks"] > 1 else 1
    places = own if c["chunks"] > 1 else min(2, seen.threads)
    seen.at_least("squares", seen.scratch("squares"), places * elements * c["square_step"])
    seen.at_least("errors", seen.scratch("errors"), own * elements * c["error_step"])


def _winograd_weight_gradient(seen: SeenKernel) -> None:
    c, sums, dw = seen.context, seen.op.reads[0], seen.op.writes[0]
    seen.blocked(dw, 3)
    blocks = -(-dw.shape[3] // seen.lanes)
    seen.at_least(sums.name, sums.elements, c["chunks"] * blocks * c["size"] ** 2 * c["sum_step"])


def _pad(seen: SeenKernel) -> None:
    d: Any = seen.op.detail
    seen.image(seen.op.reads[0], d.input)
    seen.image(seen.op.writes[0], d.output)


CHECKS: Mapping[str, Callable[[SeenKernel], None]] = {
    "conv_forward": _conv_forward,
    "conv_input_gradient": _conv_input_gradient,
    "conv_weight_gradient": _conv_weight_gradient,
    "pad": _pad,
    "winograd_filters": _winograd_filters,
    "winograd_weight_gradient": _winograd_weight_gradient,
    "winograd_weight_products": _winograd_weight_products,
}
"""By kind of operation."""
