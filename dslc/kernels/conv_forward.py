"""y = x * W + b, a convolution."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, ConvDetail)
    bias = len(op.reads) > 2
    names = ("x", "w", "b", "y") if bias else ("x", "w", "y")
    layout = setting.layout(op.reads[1])
    if not layout.width:
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups, "bias": bias}
        return [Variant("plain", names, context, setting.multiplying(op, 0.1))]
    left, right = inner_columns(d)
    context = {"bias": bias, "left": left, "right": right, **block_context(d, layout)}
    return [Variant("blocked", names, context, setting.multiplying(op, 0.6))]


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Filters in blocks of one vector, [filters / lanes][rows][columns][channels][lanes], unless groups cut blocks."""
    d, w = detail(op, ConvDetail), op.reads[1]
    per_group = d.output[2] // d.groups
    fits = d.groups == 1 or per_group % lanes == 0
    return {w.name: Layout(w.shape, 3, lanes) if fits else Layout(w.shape)}


def block_context(d: ConvDetail, layout: Layout) -> dict[str, object]:
    """What all kernels on blocked filters need."""
    filters = d.output[2]
    return {
        "d": d,
        "channels": d.input[2] // d.groups,
        "blocks": layout.blocks,
        "blocks_per_group": layout.blocks // d.groups,
        "lanes": layout.width,
        "tail": filters - (layout.blocks - 1) * layout.width,
    }


def inner_columns(d: ConvDetail) -> tuple[int, int]:
    """The output columns whose windows lie inside the image from left to right: from the first to before the second."""
    width, columns = d.input[1], d.output[1]
    starts = [x * d.stride[1] - d.before[1] for x in range(columns)]
    reach = (d.size[1] - 1) * d.dilation[1]
    inside = [x for x, start in enumerate(starts) if start >= 0 and start + reach < width]
    return (inside[0], inside[-1] + 1) if inside else (columns, columns)
