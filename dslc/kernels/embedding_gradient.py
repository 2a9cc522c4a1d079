"""dW of a table of embeddings: dy is added up in the rows that the mini-batch has, all others are zero."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._embedding import EmbeddingDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the rows, so that each sum has one order; every thread looks at all codes."""
    d = detail(op, EmbeddingDetail)
    cost = setting.memory_cost(*op.writes) + setting.batch * d.parts[0].size
    context = {"d": d, "rows": d.parts[0], "block": setting.layout(op.writes[0]).width}
    return [Variant("plain", ("x", "dy", "dw"), context, cost)]
