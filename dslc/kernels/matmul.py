"""Matrix products of two values of each example."""

from __future__ import annotations

from dslc.kernels import Scratch, Setting, Variant, detail
from dslc.kernels.product import exact_count
from dslc.layers.matmul import MatMulDetail
from dslc.operation import CALLERS, Operation

SUMMED = 128
"""Longer sums are sums of short ones: they have less rounding error."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the matrices. The second is read as it lies, or packed first: turned, or where the last vector of
    the caller's array would reach beyond it."""
    d, lanes = detail(op, MatMulDetail), setting.lanes
    blocks = -(-d.columns // lanes)
    tiles = exact_count(setting.tile_rows, d.rows, 1 if d.turned[0] else d.summed, blocks)
    packs = d.turned[1] or (op.reads[1].role in CALLERS and d.columns % lanes > 0)
    each = d.summed * blocks * lanes if packs else 0
    context = {
        "d": d, "lanes": lanes, "tiles": tiles, "packs": packs, "each": each, "summed": SUMMED,
        "row": blocks * lanes if packs else d.columns,
    }  # fmt: skip
    names = ("a", *(("b",) if op.reads[0] != op.reads[1] else ()), "y", *(("packed",) if packs else ()))
    context["b"] = "b" if op.reads[0] != op.reads[1] else "a"
    scratch = (Scratch("packed", setting.threads * each),) if packs else ()
    return [Variant("plain", names, context, setting.compute_cost(op, 0.5), tiles.products, scratch=scratch)]
