"""Mean and biased variance of each channel from those of chunks."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Merges the moments of the chunks in their order (Chan, Golub and LeVeque 1983), so that the bits do not depend on
    the threads."""
    d = detail(op, BatchNormDetail)
    context = {"channels": d.channels, "pixels": d.pixels, "chunks": CHUNKS}
    names, cost = ("moments", "mean", "var"), setting.memory_cost(*op.reads)
    return [Variant("plain", names, context, cost, sizes=("channels", "pixels"))]
