"""The loss and its parts: the weighted sum of all heads, and the penalties divided by the number of examples or
the sum of their sample weights."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, TotalDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the losses of the examples and the chunks of the penalties; the cost does not matter."""
    d = detail(op, TotalDetail)
    heads = [(f"loss{i}", f"count{i}", weight) for i, (_, weight) in enumerate(d.heads, 1)]
    penalties = [f"penalty{i}" for i in range(1, d.penalties + 1)]
    names = [name for parts, count, _ in heads for name in (parts, count)]
    context = {"heads": heads, "penalties": penalties, "chunks": CHUNKS}
    return [Variant("plain", (*names, *penalties, "loss"), context, 0.0)]
