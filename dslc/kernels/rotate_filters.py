"""Filters for the input gradient: channels and filters are swapped, and rows and columns reversed."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant, _direct, detail
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Operation


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """The filters in blocks of one vector, as the kernels of a convolution read them."""
    w = op.reads[0]
    return {w.name: _direct.filters_layout(w.shape, lanes)}


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A transposing copy; `groups` swaps within each group."""
    d, lanes = detail(op, ConvDetail), setting.lanes
    context = {
        "taps": d.size[0] * d.size[1], "all_channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups,
        "lanes": lanes, "blocks": setting.layout(op.writes[0]).blocks,
    }  # fmt: skip
    cost = setting.memory_cost(op.reads[0], factor=2)
    if d.groups == 1:
        return [Variant("plain", ("w", "rotated"), context, cost, sizes=("all_channels", "filters", "blocks"))]
    context |= {"channels": d.input[2] // d.groups, "all_channels": d.input[2]}
    return [Variant("groups", ("w", "rotated"), context, 2 * cost)]
