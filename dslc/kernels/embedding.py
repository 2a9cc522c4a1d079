"""Numbers that are copied, and codes that become rows of tables, in one pass over the examples. A table that is
also the weight of a dense layer lies in blocks of rows."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._embedding import EmbeddingDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples."""
    d = detail(op, EmbeddingDetail)
    names = ("x", *(f"rows{i}" for i in range(1, len(op.reads))), "y")
    tables = iter(zip(names[1:-1], (setting.layout(t).width for t in op.reads[1:]), strict=True))
    parts = [(part, *(next(tables) if part.values else ("", 0))) for part in d.parts]
    return [Variant("plain", names, {"d": d, "parts": parts}, setting.memory_cost(*op.writes))]
