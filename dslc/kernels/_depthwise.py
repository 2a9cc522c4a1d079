"""Convolutions in which every channel meets a filter of its own: vectors go along the channels, and nothing is summed
over them. Filters lie as the language has them, [rows][columns][1][channels]."""

from __future__ import annotations

from math import prod
from typing import Any

from dslc.kernels import Setting
from dslc.kernels._direct import padded_shape, reaches_over
from dslc.layers.conv import ConvDetail

LOADS_PER_FMA = 4.0
"""A tap is one multiply-add, but needs its pixel from memory: so many times what a product of matrices costs."""

COLUMNS = 8
"""So many pixels of a row are finished in one go."""


def suits(d: ConvDetail) -> bool:
    return 1 < d.groups == d.input[2] == d.output[2]


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds of a mini-batch on one thread."""
    channels = -(-d.output[2] // setting.lanes) * setting.lanes
    return setting.vector_products(d.output[0] * d.output[1] * channels * prod(d.size)) * LOADS_PER_FMA


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """What the template prints: windows that reach over the edge meet zeros there."""
    return {
        "d": d, "channels": d.output[2], "lanes": setting.lanes, "tail": d.output[2] % setting.lanes,
        "taps": prod(d.size), "padded": reaches_over(d), "columns": min(COLUMNS, d.output[1]),
    }  # fmt: skip


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """The gradient of the filters: windows slide over the padded image."""
    shape = padded_shape(d)
    return {
        "d": d, "image": prod(shape), "width": shape[1], "channels": d.output[2], "lanes": setting.lanes,
        "tail": d.output[2] % setting.lanes, "taps": prod(d.size),
    }  # fmt: skip


def scatter_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """The gradient of the input for any stride: each tap adds to the pixel that it lay on."""
    return {
        "d": d, "image": prod(d.input), "channels": d.output[2], "lanes": setting.lanes,
        "tail": d.output[2] % setting.lanes, "blocks": -(-d.output[2] // setting.lanes),
    }  # fmt: skip
