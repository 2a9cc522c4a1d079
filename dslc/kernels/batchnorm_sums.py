"""The gradients of gamma and beta of a batch normalization: sum(dy * x_hat) and sum(dy)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, rows_of
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x, of which threads share the channels; or over each chunk, for `chunk_sum`."""
    d = detail(op, BatchNormDetail)
    cost = setting.memory_cost(*op.reads[:2])
    context: dict[str, object] = {"pixels": d.pixels, "eps": d.eps}
    if len(op.writes) == 2:
        names = ("dy", "x", "mean", "var", "dgamma", "dbeta")
        context |= {"channels": d.channels, "long": setting.batch * d.pixels > LONG}
        return [Variant("plain", names, context, cost)]
    context |= {"chunks": CHUNKS, "rows": rows_of(d.channels, setting.lanes, 64)}
    return [Variant("chunks", ("dy", "x", "mean", "var", "sums"), context, cost)]
