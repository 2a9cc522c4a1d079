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


SIZES = (
    "in_rows", "in_columns", "out_rows", "out_columns", "channels", "margins", "strides", "image_numbers", "width",
    "blocks",
)  # fmt: skip
"""What may be parameters: a window's size and dilation stay constants, so that its sums are unrolled."""


def _shapes(d: ConvDetail) -> dict[str, Any]:
    return {
        "in_rows": d.input[0], "in_columns": d.input[1], "out_rows": d.output[0], "out_columns": d.output[1],
        "channels": d.output[2], "margins": d.before,
    }  # fmt: skip


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of y, and with the taps in reverse order of dx: outside the image it multiplies zeros."""
    return {
        "d": d, **_shapes(d), "strides": d.stride, "lanes": setting.lanes, "tail": d.output[2] % setting.lanes,
        "taps": prod(d.size), "padded": crosses_edge(d), "columns": min(COLUMNS, d.output[1]),
    }  # fmt: skip


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dW, whose windows slide over the padded image."""
    shape = padded_shape(d)
    return {
        "d": d, "image_numbers": prod(shape), "width": shape[1], "channels": d.output[2], "out_rows": d.output[0],
        "out_columns": d.output[1], "lanes": setting.lanes, "tail": d.output[2] % setting.lanes, "taps": prod(d.size),
    }  # fmt: skip


def scatter_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dx with any stride: each tap adds to the pixel that it was multiplied with."""
    return {
        "d": d, **_shapes(d), "image_numbers": prod(d.input), "lanes": setting.lanes,
        "tail": d.output[2] % setting.lanes, "blocks": -(-d.output[2] // setting.lanes),
    }  # fmt: skip
