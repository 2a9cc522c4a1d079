"""dW = dy^T x, summed over the mini-batch; if the update follows at once, dW is never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dslc.kernels import Setting, Variant
from dslc.kernels._rows import LONG
from dslc.kernels.dense_forward import NARROW_SUMS, narrow, side_by_side, weights_layout
from dslc.kernels.product import Product, exact_count
from dslc.kernels.update import rule_context, rule_cost, rule_names
from dslc.layout import Layout
from dslc.operation import GRADIENT, Operation

UPDATES = True
SIZES = ("inputs", "units", "x_row", "dy_row", "panels", "row_tiles", "heights", "functions")
"""What may be parameters."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Register tiles of inputs x vectors of units, stored like the packed weights. With an update its rule is the
    epilogue, whose arrays are prefetched during the products. `narrow`, for few units, has vectors along the inputs."""
    x, dy = op.reads[:2]
    if narrow(dy.elements, setting.lanes):
        vectors = side_by_side(x.elements // setting.lanes, max(2, NARROW_SUMS // dy.elements))
        tile = Product(dy.elements, vectors, 1)
        few = {
            "inputs": x.elements, "units": dy.elements, "lanes": setting.lanes, "tile": tile,
            **_stretches(setting.batch),
            **rule_context(op),
        }  # fmt: skip
        cost = setting.compute_cost(op, 0.5) + rule_cost(op, setting)
        return [Variant("narrow", names_of(op), few, cost, (tile,))]
    found = context(op, setting, x.elements, dy.elements, setting.batch)
    return [in_tiles(op, setting, {**found, "counted": ""}, 0.7)]


def names_of(op: Operation) -> tuple[str, ...]:
    """The C names of x, dy, and dW or the rule's arrays."""
    return ("x", "dy", *(rule_names(op) or ("dw",)))


def in_tiles(op: Operation, setting: Setting, found: Mapping[str, Any], efficiency: float) -> Variant:
    """The kernel of register tiles with such a `context`."""
    printed = {**found, **rule_context(op), "joined": False}
    cost, products = setting.compute_cost(op, efficiency) + rule_cost(op, setting), found["tiles"].products
    template = "kernels/dense_weight_gradient.c.j2"
    return Variant("plain", names_of(op), printed, cost, products, shared_template=template, sizes=SIZES)


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A temporary gradient is stored like packed weights; that of a parameter is stored like the parameter."""
    dw = op.writes[0]
    return {} if dw.role == GRADIENT else {dw.name: weights_layout(dw.shape, lanes)}


def context(op: Operation, setting: Setting, inputs: int, units: int, rows: int, bf16: bool = False) -> dict[str, Any]:
    """Values for the templates that compute tiles of dW. `rows`: the most products of a sum, with `bf16` in pairs."""
    tiles = replace(exact_count(setting.tile_rows, inputs, 1, setting.layout(op.writes[0]).blocks), bf16=bf16)
    heights = (tiles.heights * 2)[:2]
    return {
        "inputs": inputs, "units": units, "lanes": setting.lanes, "tiles": tiles, "panels": tiles.panels,
        "heights": heights, "functions": tuple(tiles.named(rows, n) for n in tiles.widths for rows in heights),
        "row_tiles": -(-inputs // tiles.heights[0]), "tail": units % setting.lanes, "arrays": rule_names(op),
        "count": "n", **_stretches(rows),
    }  # fmt: skip


def _stretches(rows: int) -> dict[str, Any]:
    """How many products are summed in one go, and whether there can be more."""
    return {"summed": LONG, "long": rows > LONG}
