"""Mean and variance of each channel over all ranks: of the whole mini-batch, or the means of each rank's own."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A message, and a pass over the channels on both sides of it; the cost does not matter. Reads what all ranks
    subtract first, the running mean: squares of small numbers lose nothing."""
    d = detail(op, BatchNormDetail)
    context = {"channels": d.channels, "pixels": d.pixels, "sync": d.over_ranks, "unbiased": d.unbiased}
    names = ("mean", "var", *(("shift",) if d.over_ranks else ()), "all_mean", "all_var")
    return [Variant("plain", names, context, 0.0)]
