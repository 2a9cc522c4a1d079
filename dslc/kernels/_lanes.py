"""Convolutions of few channels with one example in each lane: a weight is multiplied with the same pixel of all of
them.

A vector of filters would be half empty; a vector of examples is full. Images are stored as [n / lanes][h][w][c][lanes],
weights in the language's order.
"""

from __future__ import annotations

from math import prod
from typing import Any

from dslc.kernels import Copy, Setting
from dslc.kernels._direct import PadDetail, crosses_edge, is_dense, padded_shape
from dslc.kernels.product import exact_count, short
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Tensor


def suits(d: ConvDetail, w: Tensor, setting: Setting) -> bool:
    """Whether vectors of channels would be half empty, and the mini-batch fills a vector of examples. Dense weights are
    in another order than filters."""
    few = d.output[2] < setting.lanes or (3 < d.input[2] < setting.lanes and d.output[2] <= 2 * setting.lanes)
    return d.groups == 1 and not is_dense(w.shape) and setting.batch >= setting.lanes > 2 and few


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds for a mini-batch on one thread, at 0.8 of peak."""
    products = prod(d.output) * prod(d.size) * d.input[2]
    return setting.vector_cost(products) / 0.8


def padding(x: Tensor, d: ConvDetail, lanes: int) -> tuple[Copy, ...]:
    """The zero-padded copy of x, examples interleaved, if windows cross the edge; else nothing."""
    if not crosses_edge(d):
        return ()
    shape = padded_shape(d)
    return (Copy(x, "pad", Layout(shape, examples=lanes), PadDetail(d.input, shape, d.before)),)


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of y: the rows of a register tile are filters, its columns two neighbouring pixels."""
    shape = padded_shape(d)
    pixels = min(2, d.output[1])
    run = d.size[1] * d.input[2] if d.dilation[1] == 1 else d.input[2]
    return {
        "d": d, "image": prod(shape), "width": shape[1], "channels": d.input[2], "filters": d.output[2],
        "lanes": setting.lanes, "pixels": pixels, "whole": d.dilation[1] == 1, "run": run,
        "tiles": exact_count(setting.tile_rows, d.output[2], 1, pixels, short(run)),
    }  # fmt: skip


def back_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dx: the rows of a register tile are channels; each tap adds to the pixels that it
    covers."""
    pixels = min(2, d.output[1])
    return {
        "d": d, "channels": d.input[2], "filters": d.output[2], "lanes": setting.lanes, "pixels": pixels,
        "tiles": exact_count(setting.tile_rows, d.input[2], d.output[2], pixels, short(d.output[2])),
    }  # fmt: skip


STREAMED = 6 << 10
"""Numbers of image rows that the weight gradient passes over at a time, so that they stay in the L1 cache."""


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dW: some filters and some columns of the window at a time, summed in lanes, and across
    lanes at the end."""
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
