"""Mean and biased variance of each channel over mini-batch and pixels, in two passes."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, BatchNormDetail)
    pixels = op.reads[0].elements // d.channels
    context = {"channels": d.channels, "pixels": pixels}
    return [Variant("plain", ("x", "mean", "var"), context, setting.moving(op.reads[0], factor=2))]
