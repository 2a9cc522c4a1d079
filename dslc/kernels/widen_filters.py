"""Grouped filters as filters over all channels, with zeros for the channels of other groups."""

from __future__ import annotations

from math import prod

from dslc.kernels import Setting, Variant, detail
from dslc.layers.conv import ConvDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy with zeros around each group, as many times larger as there are groups."""
    d, layout = detail(op, ConvDetail), setting.layout(op.writes[0])
    return [
        Variant(
            "plain", ("w", "wide"), context(d, layout.width or d.output[2]), setting.memory_cost(op.writes[0], factor=4)
        )
    ]


def context(d: ConvDetail, width: int) -> dict[str, object]:
    """The sizes of both; `width` wide filters are interleaved."""
    return {
        "taps": prod(d.size), "channels": d.input[2], "filters": d.output[2], "width": width,
        "group_channels": d.input[2] // d.groups, "group_filters": d.output[2] // d.groups,
    }  # fmt: skip
