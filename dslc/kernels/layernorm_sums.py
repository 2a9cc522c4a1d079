"""The gradients of gamma and beta of a layer normalization: for each number the sums over the rows."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG
from dslc.layers.layernorm import LayerNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x; threads share the numbers of a row."""
    d = detail(op, LayerNormDetail)
    context = {"features": d.features, "rows": d.rows, "long": setting.batch * d.rows > LONG}
    names = ("dy", "x", "moments", "dgamma", "dbeta")
    return [Variant("plain", names, context, setting.memory_cost(*op.reads[:2]))]
