"""The product in every step of a recurrence: rows are the examples of a thread, columns the weights' in panels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dslc.kernels import Setting
from dslc.kernels.dense_forward import SUMMED, band_of
from dslc.kernels.product import Product, Tiles, any_count


def product_context(
    columns: int, row: int, summed: int, setting: Setting
) -> tuple[dict[str, Any], tuple[Product, ...]]:
    """Values for the template of a product with `columns` columns that sums `summed` numbers, from rows that are `row`
    numbers apart; and the micro-kernels. Tiles are as high as suits what each thread gets of a full mini-batch; a
    single example takes several vectors at a time, so that no addition waits for the previous one."""
    blocks = -(-columns // setting.lanes)
    tiles = tiles_of(-(-setting.batch // setting.threads), row, blocks, setting)
    band = band_of(blocks, 1)
    one = Product(1, band)
    context = {
        "tiles": tiles, "band": band, "one": one, "most_sums": max(2 * tiles.heights[0], band), "columns": columns,
        "run": min(SUMMED, summed), "summed": summed, "lanes": setting.lanes,
    }  # fmt: skip
    return context, (*tiles.products, *((one,) if band else ()))


def tiles_of(examples: int, row: int, blocks: int, setting: Setting) -> Tiles:
    """Tiles that do not overlap, for any number of rows: `examples` take one lower tile at most."""
    tiles = any_count(setting.tile_rows, examples, row, blocks)
    heights = {*tiles.heights, examples % tiles.heights[0]} - {0}
    return replace(tiles, heights=tuple(sorted(heights, reverse=True)))
