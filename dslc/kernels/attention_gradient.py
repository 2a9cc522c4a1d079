"""The gradients of queries, keys and values of attention. The weights of the keys are computed again from the
logarithms of their sums (Dao et al. 2022)."""

from __future__ import annotations

from dslc.kernels import Scratch, Setting, Variant, detail
from dslc.kernels._attention import SUMMED, heads_of
from dslc.layers.attention import AttentionDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share heads and examples; a thread walks the queries of a head in blocks, and adds up the gradients of
    its keys and values."""
    d = detail(op, AttentionDetail)
    heads = heads_of(d, setting)
    given, results = (("queries", "memory"), ("dqueries", "dmemory")) if d.crossed else (("in",), ("din",))
    names = ("dy", *given, "y", "logs", *(("lengths",) if d.masked else ()), *results, "room")
    each = 2 * ((d.size + heads.block) * heads.padded + d.keys * heads.wide)
    context = {"d": d, "heads": heads, "lanes": setting.lanes, "summed": SUMMED, "each": each}
    cost = setting.compute_cost(op, 0.5) + setting.batch * d.heads * d.steps * d.keys / setting.lanes
    products = (
        *heads.scores.products, *heads.slopes.products, *heads.results.products, *heads.turned.products,
    )  # fmt: skip
    return [Variant("plain", names, context, cost, products, scratch=(Scratch("room", setting.threads * each),))]
