"""Mean and biased variance of each channel over mini-batch and pixels."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, block_context, block_sizes
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over all pixels, of which threads share the channels; or one pass over each chunk, for
    `batchnorm_merge`."""
    d = detail(op, BatchNormDetail)
    x = op.reads[0]
    if len(op.writes) == 2:
        context = {"channels": d.channels, "pixels": d.pixels, "long": setting.batch * d.pixels > LONG}
        return [Variant("plain", ("x", "mean", "var"), context, setting.memory_cost(x, factor=2))]
    context = {**block_context(d.channels, d.pixels, setting.lanes), "chunks": CHUNKS}
    sizes = block_sizes(d.channels, setting.lanes)
    return [Variant("chunks", ("x", "moments"), context, setting.memory_cost(x), sizes=sizes)]
