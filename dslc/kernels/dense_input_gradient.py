"""dx = dy W: the rows of the product are inputs, its columns vectors of examples."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Scratch, Setting, Variant, epilogue
from dslc.kernels.dense_forward import narrow
from dslc.kernels.product import Product
from dslc.layout import Layout
from dslc.operation import Operation

FUSES = True
STREAMED = 512 << 10
"""Bytes of weights that are unlikely to be in the L2 cache when they are needed."""
STRETCH = 8
"""Vectors of units that are summed before the next inputs: the weights are read in that many long streams."""
AHEAD = 4
"""Weights are prefetched this many tiles ahead."""
SUMS = 16
"""Up to this many tiles are summed side by side, so that they stay in the L1 cache."""
FEW = 0.5
"""The speed of products that read each weight for one example."""
TASKS = 16
"""At least this many tasks are left for the threads to share."""


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """`plain`, whose vectors hold examples, used or not, and `few`, whose vectors run along the units."""
    (units, inputs), lanes = op.reads[1].shape, setting.lanes
    cached = op.reads[1].elements * setting.itemsize <= STREAMED
    if lanes == 1 or setting.batch >= lanes or narrow(units, lanes) or inputs < lanes or not cached:
        return {}
    return {"plain": setting.compute_cost(op, setting.batch / lanes), "few": setting.compute_cost(op, FEW)}


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Register tiles of inputs x vectors of examples. `few`, for a handful of examples, has vectors along the units.
    `streamed`, for weights from memory and a small batch, reads W once, in order. `narrow`, for few units, has vectors
    along the inputs."""
    dx, lanes = op.writes[0], setting.lanes
    units = setting.layout(op.reads[1]).shape[0]
    end = epilogue(op)
    names = ("dout", "w", "known", "din") if end["kept"] else ("dout", "w", "din")
    if narrow(units, lanes):
        few = {"inputs": dx.elements, "units": units, **end}
        return [Variant("narrow", names, few, setting.compute_cost(op, 0.3))]
    if op.choice == "few":
        handful = {
            "inputs": dx.elements, "units": units, "full": units // lanes, "left": units % lanes, "lanes": lanes,
            "tasks": -(-dx.elements // lanes), **end,
        }  # fmt: skip
        return [Variant("few", names, handful, setting.compute_cost(op, FEW), sizes=("inputs", "units", "tasks"))]
    if streams(op, setting):
        blocks = -(-units // lanes)
        context = {"inputs": dx.elements, "units": units, "blocks": blocks, "lanes": lanes, **end}
        sums = Scratch("sums", dx.elements * lanes)
        return [Variant("streamed", (*names, "sums"), context, setting.compute_cost(op), scratch=(sums,))]
    rows = min(dx.elements, lanes * max(1, 8 // lanes))
    tile = Product(rows, 1, lanes)
    tiles, columns = -(-dx.elements // rows), -(-setting.batch // lanes)
    full = units // lanes
    group = max(1, min(SUMS // columns, tiles // TASKS))
    context = {
        "inputs": dx.elements, "units": units, "full": full, "left": units % lanes, "lanes": lanes, "rows": rows,
        "tiles": tiles, "tile": tile, "columns": columns, "stretch": min(STRETCH, full), "ahead": AHEAD * rows,
        "group": group, "tasks": -(-tiles // group), **end,
    }  # fmt: skip
    sizes = ("inputs", "units", "full", "left", "stretch", "tiles", "tasks")
    return [Variant("plain", names, context, setting.compute_cost(op), (tile,), sizes=sizes)]


def streams(op: Operation, setting: Setting) -> bool:
    """Whether the weights are read from memory and one vector holds all examples of the mini-batch."""
    w, lanes = op.reads[1], setting.lanes
    few = lanes > 1 and setting.batch <= lanes and not narrow(setting.layout(w).shape[0], lanes)
    return op.choice != "few" and few and setting.stored(w) * setting.itemsize > STREAMED


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """dy with examples interleaved, where a vector holds examples."""
    dy = op.reads[0]
    if op.choice == "few" or narrow(op.reads[1].shape[0], lanes):
        return ()
    return (Copy(dy, "to_lanes", Layout(dy.shape, examples=lanes)),)
