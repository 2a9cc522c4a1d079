"""y = x W^T + b."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, finish
from dslc.kernels.product import any_count
from dslc.layout import Layout

FUSES = True
SUMMED = 512
"""Products that are summed in one go: sums of sums lose less."""

GROUP = 8
"""At most so many tiles are summed side by side."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    x, w, y = op.reads[0], op.reads[1], op.writes[0]
    end = finish(op)
    bias = len(op.reads) > 2 + bool(end["kept"])
    names = ("in", "w", *(("b",) if bias else ()), *(("known",) if end["kept"] else ()), "out")
    if narrow(y.elements, setting.lanes):
        few = {"inputs": x.elements, "units": y.elements, "lanes": setting.lanes, "bias": bias}
        return [Variant("narrow", names, {**few, **end}, setting.multiplying(op, 0.5))]
    tiles = any_count(setting.tile_rows, setting.batch, x.elements, setting.layout(w).blocks)
    context = {
        "inputs": x.elements, "units": y.elements, "lanes": setting.lanes, "tiles": tiles, "bias": bias,
        "summed": min(SUMMED, x.elements), "group": min(GROUP, -(-setting.batch // tiles.heights[0])),
        **end,
    }  # fmt: skip
    return [Variant("plain", names, context, setting.multiplying(op), tiles.products)]


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights in panels of one vector of units: [units / lanes][inputs][lanes]."""
    w = op.reads[1]
    return {w.name: Layout(w.shape) if narrow(w.shape[0], lanes) else Layout(w.shape, 0, lanes)}


def narrow(units: int, lanes: int) -> bool:
    """So few units that vectors of them would be half empty: vectors go along the inputs instead."""
    return 2 * units <= lanes
