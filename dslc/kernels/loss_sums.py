"""For each head the sum of its loss over the examples, with its weight, and what to divide it by."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import TotalDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, TotalDetail)
    heads = [(f"loss{i}", f"count{i}", weight) for i, (_, weight) in enumerate(d.heads, 1)]
    names = [name for parts, count, _ in heads for name in (parts, count)]
    return [Variant("plain", (*names, "sums"), {"heads": heads}, 0.0)]
