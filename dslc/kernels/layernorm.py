"""gamma * (x - mean) / sqrt(var + eps) + beta over the numbers of a row, an example or a step; mean and 1 /
sqrt(var + eps) are stored."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.layernorm import LayerNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Three passes over each row: mean, variance, result."""
    d = detail(op, LayerNormDetail)
    names = ("x", "gamma", "beta", "y", "moments")
    return [
        Variant(
            "plain",
            names,
            {"features": d.features, "rows": d.rows, "eps": d.eps},
            setting.memory_cost(op.reads[0], factor=3),
        )
    ]
