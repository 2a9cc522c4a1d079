"""Depthwise convolutions: every channel has its own filter. Vectors go along the channels, and nothing is summed across
them. Filters are stored in the language's order, [rows][columns][1][channels]."""

from __future__ import annotations

from math import prod
from typing import Any

from dslc.kernels import Setting
from dslc.kernels._direct import crosses_edge, padded_shape
from dslc.layers.conv import ConvDetail

LOADS_PER_FMA = 4.0
"""Every multiply-add loads its pixel from memory: the cost relative to a multiply-add of a matrix product."""

COLUMNS = 8
"""Pixels of a row that are computed together."""


def suits(d: ConvDetail) -> bool:
    """Whether groups, channels and filters are equally many."""
    return 1 < d.groups == d.input[2] == d.output[2]


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds for a mini-batch on one thread: all taps, with the channels rounded up to whole vectors."""
    channels = -(-d.output[2] // setting.lanes) * setting.lanes
    return setting.vector_cost(d.output[0] * d.output[1] * channels * prod(d.size)) * LOADS_PER_FMA


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of y, and with the taps in reverse order of dx: outside the image it multiplies zeros."""
    return {
        "d": d, "channels": d.output[2], "lanes": setting.lanes, "tail": d.output[2] % setting.lanes,
        "taps": prod(d.size), "padded": crosses_edge(d), "columns": min(COLUMNS, d.output[1]),
    }  # fmt: skip


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dW, whose windows slide over the padded image."""
    shape = padded_shape(d)
    return {
        "d": d, "image": prod(shape), "width": shape[1], "channels": d.output[2], "lanes": setting.lanes,
        "tail": d.output[2] % setting.lanes, "taps": prod(d.size),
    }  # fmt: skip


def scatter_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dx with any stride: each tap adds to the pixel that it was multiplied with."""
    return {
        "d": d, "image": prod(d.input), "channels": d.output[2], "lanes": setting.lanes,
        "tail": d.output[2] % setting.lanes, "blocks": -(-d.output[2] // setting.lanes),
    }  # fmt: skip
