"""The loss and its parts over the mini-batch of all ranks, and the number of labels in it for each head."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, TotalDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the losses of this rank's examples, and a message; the cost does not matter."""
    d = detail(op, TotalDetail)
    heads = [(f"loss{i}", f"count{i}", weight) for i, (_, weight) in enumerate(d.heads, 1)]
    penalties = [f"penalty{i}" for i in range(1, d.penalties + 1)]
    counts = [f"all{i}" for i in range(1, len(op.writes))]
    names = [name for parts, count, _ in heads for name in (parts, count)]
    context = {"heads": heads, "penalties": penalties, "counts": counts, "chunks": CHUNKS}
    return [Variant("plain", (*names, *penalties, "loss", *counts), context, 0.0)]
