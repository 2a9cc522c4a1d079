"""dx = dy W: the weights are rows, vectors of examples the columns."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Copy, Setting, Variant, finish
from dslc.kernels.dense_forward import narrow
from dslc.kernels.product import Product
from dslc.layout import Layout

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    dx, lanes = op.writes[0], setting.lanes
    units = setting.layout(op.reads[1]).shape[0]
    if narrow(units, lanes):
        end = finish(op)
        names = ("dout", "w", "known", "din") if end["kept"] else ("dout", "w", "din")
        few = {"inputs": dx.elements, "units": units, **end}
        return [Variant("narrow", names, few, setting.multiplying(op, 0.3))]
    rows = min(dx.elements, lanes * max(1, 8 // lanes))
    tile = Product(rows, 1, lanes)
    context = {
        "inputs": dx.elements, "units": units, "full": units // lanes, "left": units % lanes, "lanes": lanes,
        "rows": rows, "tiles": -(-dx.elements // rows), "tile": tile, **finish(op),
    }  # fmt: skip
    names = ("dout", "w", "known", "din") if context["kept"] else ("dout", "w", "din")
    return [Variant("plain", names, context, setting.multiplying(op), (tile,))]


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    dy = op.reads[0]
    if narrow(op.reads[1].shape[0], lanes):
        return ()
    return (Copy(dy, "to_lanes", Layout(dy.shape, examples=lanes)),)
