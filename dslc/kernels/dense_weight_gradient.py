"""dW = dy^T x, summed over the mini-batch; if the update follows at once, dW is never stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslc.kernels import Setting, Variant
from dslc.kernels._rows import LONG
from dslc.kernels.dense_forward import NARROW_SUMS, narrow, side_by_side, weights_layout
from dslc.kernels.product import Product, exact_count
from dslc.kernels.update import rule_context, rule_names
from dslc.layout import Layout
from dslc.operation import GRADIENT, Operation

UPDATES = True
SIZES = ("inputs", "units", "panels", "row_tiles", "heights", "functions")
"""What may be parameters."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Register tiles of inputs x vectors of units, stored like the packed weights. With an update its rule is the
    epilogue, whose arrays are prefetched during the products. `narrow`, for few units, has vectors along the inputs."""
    x, dy = op.reads[:2]
    names = ("x", "dy", *(rule_names(op) or ("dw",)))
    if narrow(dy.elements, setting.lanes):
        vectors = side_by_side(x.elements // setting.lanes, max(2, NARROW_SUMS // dy.elements))
        tile = Product(dy.elements, vectors, 1)
        few = {
            "inputs": x.elements, "units": dy.elements, "lanes": setting.lanes, "tile": tile, **_stretches(setting),
            **rule_context(op),
        }  # fmt: skip
        return [Variant("narrow", names, few, setting.compute_cost(op, 0.5), (tile,))]
    found = context(op, setting)
    printed = {**found, **rule_context(op), "joined": False}
    cost, products = setting.compute_cost(op, 0.7), found["tiles"].products
    return [Variant("plain", names, printed, cost, products, sizes=SIZES)]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A temporary gradient is stored like packed weights; that of a parameter is stored like the parameter."""
    dw = op.writes[0]
    return {} if dw.role == GRADIENT else {dw.name: weights_layout(dw.shape, lanes)}


def context(op: Operation, setting: Setting) -> dict[str, Any]:
    """Values for the templates that compute tiles of dW."""
    x, dy = op.reads[:2]
    tiles = exact_count(setting.tile_rows, x.elements, 1, setting.layout(op.writes[0]).blocks)
    heights = (tiles.heights * 2)[:2]
    return {
        "inputs": x.elements, "units": dy.elements, "lanes": setting.lanes, "tiles": tiles, "panels": tiles.panels,
        "heights": heights, "functions": tuple(tiles.named(rows, n) for n in tiles.widths for rows in heights),
        "row_tiles": -(-x.elements // tiles.heights[0]), "tail": dy.elements % setting.lanes, "arrays": rule_names(op),
        **_stretches(setting),
    }  # fmt: skip


def _stretches(setting: Setting) -> dict[str, Any]:
    """How many examples are summed in one go, and whether a mini-batch can be longer."""
    return {"summed": LONG, "long": setting.batch > LONG}
