"""The heads of attention: softmax(q k^T / sqrt(size)) v. Those of self-attention have queries, keys and values side by
side."""

from __future__ import annotations

from dslc.kernels import Scratch, Setting, Variant, detail
from dslc.kernels._attention import SUMMED, heads_of
from dslc.layers.attention import AttentionDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share heads and examples. A head's keys are turned once; then a few queries at a time meet those that
    they see, so that of all scores only some rows are ever stored. For training the logarithm of each sum is kept."""
    d = detail(op, AttentionDetail)
    heads, keeps = heads_of(d, setting), len(op.writes) > 1
    given = ("queries", "memory") if d.crossed else ("in",)
    names = (*given, *(("lengths",) if d.masked else ()), "out", *(("logs",) if keeps else ()), "room")
    each = (d.size + heads.heights[0]) * heads.padded
    context = {"d": d, "heads": heads, "lanes": setting.lanes, "keeps": keeps, "summed": SUMMED, "each": each}
    cost = setting.compute_cost(op, 0.5) + setting.batch * d.heads * d.steps * d.keys / setting.lanes
    products = (*heads.scores.products, *heads.results.products)
    return [Variant("plain", names, context, cost, products, scratch=(Scratch("room", setting.threads * each),))]
