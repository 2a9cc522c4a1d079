"""The gradients of gamma and beta of a batch normalization: sum(dy * x_hat) and sum(dy)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, block_context, block_sizes
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x, of which threads share the channels; or over each chunk, for `chunk_sum`."""
    d = detail(op, BatchNormDetail)
    cost = setting.memory_cost(*op.reads[:2])
    if len(op.writes) == 2:
        context = {
            "pixels": d.pixels, "channels": d.channels, "eps": d.eps, "long": setting.batch * d.pixels > LONG
        }  # fmt: skip
        return [Variant("plain", ("dy", "x", "mean", "var", "dgamma", "dbeta"), context, cost)]
    found = {**block_context(d.channels, d.pixels, setting.lanes), "eps": d.eps, "chunks": CHUNKS}
    of_chunks = ("dy", "x", "mean", "var", "sums")
    return [Variant("chunks", of_chunks, found, cost, sizes=block_sizes(d.channels, setting.lanes))]
