"""Each row times a factor that comes from its squares, which is stored, and times the weights."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._row_norm import RowNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over each row: its squares, the result."""
    d = detail(op, RowNormDetail)
    features = op.writes[0].shape[-1]
    weighted = len(op.reads) == 2
    context = {
        "d": d, "features": features, "rows": op.writes[0].elements // features, "weighted": weighted,
    }  # fmt: skip
    names = ("x", "weight", "y", "factors") if weighted else ("x", "y", "factors")
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=2))]
