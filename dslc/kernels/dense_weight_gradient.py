"""dW = dy^T x, summed over the mini-batch."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant
from dslc.kernels.dense_forward import panels


def variants(op: Operation, setting: Setting) -> list[Variant]:
    x, dy = op.reads
    context = panels(setting.layout(op.writes[0]), x.elements, dy.elements)
    return [Variant("plain", ("x", "dy", "dw"), context, setting.multiplying(op, 0.7))]
