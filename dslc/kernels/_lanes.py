"""Convolutions of few channels with one example a lane: the same window of all of them is met by one weight.

A vector of filters would be half empty; a vector of examples is full. Images lie as [n / lanes][h][w][c][lanes],
weights as the language has them.
"""

from __future__ import annotations

from math import prod
from typing import Any

from dslc.graph import Tensor
from dslc.kernels import Copy, Setting
from dslc.kernels._direct import PadDetail, padded_shape, reaches_over
from dslc.kernels.product import exact_count, short
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout


def suits(d: ConvDetail, setting: Setting) -> bool:
    """So few channels that vectors of them would be half empty, and enough examples."""
    few = d.output[2] < setting.lanes or (3 < d.input[2] < setting.lanes and d.output[2] <= 2 * setting.lanes)
    return d.groups == 1 and setting.batch >= setting.lanes > 2 and few


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds of a mini-batch on one thread."""
    products = prod(d.output) * prod(d.size) * d.input[2]
    return setting.vector_products(products) / 0.8


def padding(x: Tensor, d: ConvDetail, lanes: int) -> tuple[Copy, ...]:
    """The copy with zeros around it, if the windows reach over the edge."""
    if not reaches_over(d):
        return ()
    shape = padded_shape(d)
    return (Copy(x, "pad", Layout(shape, examples=lanes), PadDetail(d.input, shape, d.before)),)


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Forward: rows of a tile are filters, its columns two pixels side by side."""
    shape = padded_shape(d)
    pixels = min(2, d.output[1])
    run = d.size[1] * d.input[2] if d.dilation[1] == 1 else d.input[2]
    return {
        "d": d, "image": prod(shape), "width": shape[1], "channels": d.input[2], "filters": d.output[2],
        "lanes": setting.lanes, "pixels": pixels, "whole": d.dilation[1] == 1, "run": run,
        "tiles": exact_count(setting.tile_rows, d.output[2], 1, pixels, short(run)),
    }  # fmt: skip


def back_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Back to the input: rows of a tile are channels; each tap of the window adds to the pixels that it lay on."""
    pixels = min(2, d.output[1])
    return {
        "d": d, "channels": d.input[2], "filters": d.output[2], "lanes": setting.lanes, "pixels": pixels,
        "tiles": exact_count(setting.tile_rows, d.input[2], d.output[2], pixels, short(d.output[2])),
    }  # fmt: skip


STREAMED = 6 << 10
"""Numbers of rows of images that the gradient of the weights goes over at a time: they stay in the nearest cache."""


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """dW: some filters and some columns of the window at a time, summed in lanes, and at last over the lanes."""
    shape = padded_shape(d)
    most = 12 if setting.tile_rows > 6 else 6
    columns = max(k for k in range(1, min(d.size[1], most) + 1) if d.size[1] % k == 0)
    filters = max(k for k in range(1, 2 * most) if d.output[2] % k == 0 and (k == 1 or k * columns < 2 * most))
    row = (d.stride[0] * shape[1] * d.input[2] + d.output[1] * d.output[2]) * setting.lanes
    return {
        "d": d, "image": prod(shape), "width": shape[1], "channels": d.input[2], "filters": d.output[2],
        "lanes": setting.lanes, "some_filters": filters, "some_columns": columns,
        "some_rows": max(1, min(d.output[0], STREAMED // row)),
    }  # fmt: skip
