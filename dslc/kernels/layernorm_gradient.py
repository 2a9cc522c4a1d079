"""dx of a layer normalization: (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(var + eps) with g = dy * gamma."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.layernorm import LayerNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two sums over each row, then dx."""
    d = detail(op, LayerNormDetail)
    context = {"features": d.features, "rows": d.rows}
    names = ("dy", "x", "moments", "gamma", "dx")
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=3))]
