"""The product in every step of a recurrence: rows are the examples of a thread, columns the weights' in panels."""

from __future__ import annotations

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
    tiles: Tiles = any_count(setting.tile_rows, -(-setting.batch // setting.threads), row, blocks)
    band = band_of(blocks, 1)
    one = Product(1, band, row)
    context = {
        "tiles": tiles, "band": band, "one": one, "most_sums": max(2 * tiles.heights[0], band), "columns": columns,
        "run": min(SUMMED, summed), "summed": summed, "lanes": setting.lanes,
    }  # fmt: skip
    return context, (*tiles.products, *((one,) if band else ()))
