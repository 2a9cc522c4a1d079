"""The direct convolution as a matrix product: its rows are neighbouring pixels, its columns filters, and it sums along
the window. The input gradient is the same with rotated filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dslc.kernels import Copy, Setting, Variant
from dslc.kernels.product import Tiles, even_rows, exact_count, max_rows, short
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Tensor

SUMMED = 128
"""From this many products in a row of the window on, each row is summed separately: a sum of sums has less rounding
error."""
PLAIN_FILTERS = ("plain", "lanes", "depthwise", "depthwise_scatter")
"""Algorithms that read the filters in the language's order."""
TASKS = 16
"""An image is split into at least this many tasks, if it has enough rows, for the threads to share."""


@dataclass(frozen=True)
class PadDetail:
    """An image of `input` inside one of `output`, `before` rows and columns from its top left corner; the rest is
    zero."""

    input: tuple[int, ...]
    output: tuple[int, ...]
    before: tuple[int, int]


def reach(d: ConvDetail) -> tuple[int, int]:
    """Rows and columns of the padded image that the windows cover."""
    return tuple((d.output[i] - 1) * d.stride[i] + (d.size[i] - 1) * d.dilation[i] + 1 for i in (0, 1))  # type: ignore[return-value]


def crosses_edge(d: ConvDetail) -> bool:
    """Whether a window reaches beyond the image. The windows may cover as many rows and columns as the image has and
    still begin outside of it."""
    rows, columns = reach(d)
    return d.before != (0, 0) or rows > d.input[0] or columns > d.input[1]


def padded_shape(d: ConvDetail) -> tuple[int, int, int]:
    """The shape of the image that the windows slide over: with padding only if a window crosses the edge."""
    rows, columns = reach(d) if crosses_edge(d) else d.input[:2]
    return (rows, columns, d.input[2])


def padding(x: Tensor, d: ConvDetail) -> tuple[Copy, ...]:
    """The zero-padded copy of x, if windows cross the edge; else nothing."""
    if not crosses_edge(d):
        return ()
    shape = padded_shape(d)
    return (Copy(x, "pad", Layout(shape), PadDetail(d.input, shape, d.before)),)


def fits(d: ConvDetail, lanes: int) -> bool:
    """Whether blocks of one vector of filters (of channels in the backward pass) never straddle two groups."""
    return d.groups == 1 or (d.output[2] // d.groups % lanes == 0 and d.input[2] // d.groups % lanes == 0)


def filters_layout(shape: tuple[int, ...], lanes: int) -> Layout:
    """Filters in blocks of one vector: [filters / lanes][rows][columns][channels][lanes]. Those of a sequence have no
    rows, and dense weights (units, inputs) are such filters of one pixel."""
    return Layout(shape, 0 if is_dense(shape) else len(shape) - 1, lanes)


def is_dense(shape: tuple[int, ...]) -> bool:
    """Whether weights have the shape (units, inputs), which are like filters only in blocks of a vector."""
    return len(shape) == 2


def rotated_filters(w: Tensor, d: ConvDetail, lanes: int) -> Copy:
    """The filters for the input gradient, packed in blocks of one vector of input channels."""
    shape = (*d.size, d.output[2] // d.groups, d.input[2])
    return Copy(w, "rotate_filters", filters_layout(shape, lanes), d)


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds for a mini-batch on one thread: 0.85 of peak, less where tiles are low or the last is not full."""
    lanes, most = setting.lanes, setting.tile_rows
    pixels = d.output[1] if not one_by_one(d) else d.output[0] * d.output[1]
    height = even_rows(pixels, max_rows(most, -(-d.output[2] // lanes)))
    filled = pixels / (-(-pixels // height) * height) * min(1.0, (2 + height) / (2 + most))
    blocks = -(-d.output[2] // lanes) * lanes
    products = d.output[0] * d.output[1] * blocks * prod(d.size) * d.input[2] // d.groups
    return setting.vector_cost(products) / (0.85 * filled)


def one_by_one(d: ConvDetail) -> bool:
    """Whether every output pixel depends on one input pixel, so that an image is one long row."""
    return d.size == (1, 1) and d.stride == (1, 1) and not crosses_edge(d) and d.input[:2] == d.output[:2]


def long_rows(d: ConvDetail, most: int) -> tuple[int, int]:
    """The pixels of such an image as (rows, columns): as many rows, for the threads to share, as take at most 6% more
    tiles than a single row."""
    height, width = d.output[:2]
    tiles = 1.06 * -(-height * width // most)
    fitting = [r for r in range(1, height + 1) if height % r == 0 and r * -(-height // r * width // most) <= tiles]
    return fitting[-1], height // fitting[-1] * width


def context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of y, and with turned filters of dx."""
    shape = padded_shape(d)
    channels, lanes = shape[2] // d.groups, setting.lanes
    blocks = -(-d.output[2] // (d.groups * lanes))
    whole = d.dilation[1] == 1 and d.groups == 1
    most = max_rows(setting.tile_rows, blocks)
    rows, columns = long_rows(d, most) if one_by_one(d) else d.output[:2]
    width = columns if one_by_one(d) else shape[1]
    height = even_rows(columns, most)
    tiles = Tiles((height,), d.stride[1] * shape[2], blocks, short(d.size[1] * channels if whole else channels))
    return {
        "d": d, "image_numbers": prod(shape), "width": width, "channels": channels, "lanes": lanes,
        "rows": rows, "columns": columns, "units": d.output[2], "tiles": tiles, "height": height,
        "functions": tuple(product.name for product in tiles.products), "group_panels": tiles.panels,
        "row_groups": max(1, min(rows, TASKS // (tiles.panels * d.groups))), "whole": whole,
        "by_rows": not whole or d.size[1] * channels >= SUMMED,
        "blocks": blocks, "groups": d.groups, "overwrites": "",
    }  # fmt: skip


SIZES = ("image_numbers", "width", "channels", "rows", "columns", "units", "group_panels", "row_groups", "blocks",
         "height", "functions")  # fmt: skip
"""What may be parameters: the micro-kernel gets its steps as numbers anyway."""


def variant(name: str, arrays: tuple[str, ...], d: ConvDetail, setting: Setting, more: Mapping[str, object]) -> Variant:
    """The kernel of y, and with turned filters of dx. `more`: what the template prints of the epilogue."""
    found = context(d, setting)
    return Variant(name, arrays, {**found, **more}, cost(d, setting), found["tiles"].products,
                   shared_template="kernels/_direct.c.j2", sizes=SIZES, overwritable=overwritable(more))  # fmt: skip


def overwritable(more: Mapping[str, object]) -> tuple[str, ...]:
    """What a result may take the memory of: y of the epilogue, which is read where the result is stored."""
    return ("known",) if more["kept"] else ()


def scatter_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dx with any stride: each tap of a window adds its share to the pixel that it
    covers."""
    lanes = setting.lanes
    blocks = -(-d.input[2] // (d.groups * lanes))
    filters = d.output[2] // d.groups
    return {
        "d": d, "filters": filters, "lanes": lanes, "blocks": blocks, "groups": d.groups,
        "tiles": exact_count(setting.tile_rows, d.output[1], d.output[2], blocks), "taps": prod(d.size),
        "filter": prod(d.size) * filters * lanes,
    }  # fmt: skip


STREAMED = 128 << 10
"""Bytes of images that the weight gradient passes over before it returns to the first, so that they stay in cache."""


def weight_rows(d: ConvDetail) -> tuple[int, int]:
    """Rows of the matrix product that computes dW, and how many taps of the window have that many each."""
    if d.dilation[1] == 1 and d.groups == 1:
        return d.size[1] * d.input[2], d.size[0]
    return d.input[2] // d.groups, prod(d.size)


def weight_cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds of dW for a mini-batch on one thread: 0.75 of peak, less where tiles are low."""
    rows, taps = weight_rows(d)
    blocks = -(-d.output[2] // setting.lanes) * setting.lanes
    tiles = exact_count(setting.tile_rows, rows, 1, blocks // setting.lanes)
    filled = min(1.0, (2 + tiles.heights[0]) / (2 + setting.tile_rows))
    return setting.vector_cost(rows * taps * blocks * d.output[0] * d.output[1]) / (0.75 * filled)


def weight_context(d: ConvDetail, setting: Setting) -> dict[str, Any]:
    """Values for the template of dW."""
    shape, lanes = padded_shape(d), setting.lanes
    rows, taps = weight_rows(d)
    blocks = -(-d.output[2] // (d.groups * lanes))
    tiles = exact_count(setting.tile_rows, rows, 1, blocks)
    row_bytes = (d.stride[0] * shape[1] * shape[2] + d.output[1] * d.output[2]) * setting.itemsize
    heights = (tiles.heights * 2)[:2]
    return {
        "d": d, "image_numbers": prod(shape), "width": shape[1], "lanes": lanes, "tiles": tiles, "heights": heights,
        "functions": tuple(tiles.named(rows, vectors) for vectors in tiles.widths for rows in heights),
        "out_rows": d.output[0], "out_columns": d.output[1], "units": d.output[2], "taps": taps,
        "row_tiles": -(-rows // heights[0]), "blocks": blocks, "groups": d.groups,
        "channels": d.input[2] // d.groups, "whole": taps == d.size[0] and rows == d.size[1] * d.input[2],
        "group_panels": tiles.panels, "tail": d.output[2] % lanes,
        "some_rows": max(1, min(d.output[0], STREAMED // row_bytes)),
    }  # fmt: skip


WEIGHT_SIZES = ("image_numbers", "width", "channels", "out_rows", "out_columns", "units", "row_tiles", "group_panels",
                "blocks", "some_rows", "heights", "functions")  # fmt: skip
"""What may be parameters of the kernel of dW."""
