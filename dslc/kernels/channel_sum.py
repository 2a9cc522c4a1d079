"""The sum over mini-batch and pixels of each channel: the gradient of a bias."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant


def variants(op: Operation, setting: Setting) -> list[Variant]:
    dy = op.reads[0]
    channels = dy.shape[-1]
    context = {"channels": channels, "pixels": dy.elements // channels}
    return [Variant("plain", ("dy", "sum"), context, setting.moving(dy))]
