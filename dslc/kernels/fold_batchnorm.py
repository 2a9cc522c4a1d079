"""Folds a batch normalization into the weights and bias of the layer before it, for prediction: W' = W gamma / sqrt(var
+ eps) and b' = beta + (b - mean) gamma / sqrt(var + eps)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail
from dslc.operation import Operation, Tensor


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the weights in their packed layout."""
    d = detail(op, BatchNormDetail)
    layout = setting.layout(op.reads[0])
    bias = len(op.reads) > 5
    lanes = layout.width or (1 if len(layout.shape) == 2 else d.channels)
    context = {
        "channels": d.channels, "eps": d.eps, "bias": bias, "lanes": lanes,
        "each": layout.elements // (-(-d.channels // lanes) * lanes),
    }  # fmt: skip
    names = ("w", "mean", "var", "gamma", "beta", *(("b",) if bias else ()), "folded", "term")
    return [Variant("plain", names, context, setting.memory_cost(*op.writes, factor=2), sizes=("channels", "each"))]


def same_layout(op: Operation) -> tuple[Tensor, ...]:
    """The weights before and after."""
    return op.reads[0], op.writes[0]
