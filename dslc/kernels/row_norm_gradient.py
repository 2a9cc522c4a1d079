"""dx of rmsnorm and l2_normalize: factor * (g - x * factor^2 * sum(g * x)) with g = dy * weight; for rmsnorm with the
mean in place of the sum."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._row_norm import RowNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over each row: a sum, then dx."""
    d = detail(op, RowNormDetail)
    features = op.writes[0].shape[-1]
    context = {
        "d": d, "features": features, "rows": op.writes[0].elements // features,
        "g": "dout[f] * weight[f]" if len(op.reads) == 4 else "dout[f]",
    }  # fmt: skip
    names = ("dy", "x", "factors", "weight", "dx") if len(op.reads) == 4 else ("dy", "x", "factors", "dx")
    return [Variant("plain", names, context, setting.memory_cost(*op.reads[:2], factor=2))]
