"""dx of a batch normalization in training."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, BatchNormDetail)
    pixels = op.reads[0].elements // d.channels
    context = {"channels": d.channels, "pixels": pixels, "eps": d.eps}
    return [
        Variant(
            "plain",
            ("dy", "x", "mean", "var", "gamma", "dgamma", "dbeta", "dx"),
            context,
            setting.moving(op.reads[0], factor=3),
        )
    ]
