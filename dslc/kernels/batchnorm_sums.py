"""The gradients of gamma and beta of a batch normalization."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, BatchNormDetail)
    pixels = op.reads[0].elements // d.channels
    context = {"channels": d.channels, "pixels": pixels, "eps": d.eps}
    return [
        Variant("plain", ("dy", "x", "mean", "var", "dgamma", "dbeta"), context, setting.moving(op.reads[0], factor=2))
    ]
