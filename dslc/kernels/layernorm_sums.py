"""The gradients of gamma and beta of a layer normalization: sums over the examples of each number."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG
from dslc.layers.layernorm import LayerNormDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    context = {"features": detail(op, LayerNormDetail).features, "long": setting.batch > LONG}
    names = ("dy", "x", "moments", "dgamma", "dbeta")
    return [Variant("plain", names, context, setting.moving(*op.reads[:2]))]
