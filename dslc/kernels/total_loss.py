"""The loss, and what it is made of: every head by its weight, and the penalties divided by the number of examples."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.lower import TotalDetail
from dslc.site import CHUNKS


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, TotalDetail)
    heads = [(f"loss{i}", f"count{i}", weight) for i, (_, weight) in enumerate(d.heads, 1)]
    penalties = [f"penalty{i}" for i in range(1, d.penalties + 1)]
    names = [name for parts, count, _ in heads for name in (parts, count)]
    context = {"heads": heads, "penalties": penalties, "chunks": CHUNKS}
    return [Variant("plain", (*names, *penalties, "loss"), context, 0.0)]
