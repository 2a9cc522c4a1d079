"""The gradients of gamma and beta of a batch normalization."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, rows_of
from dslc.layers.batchnorm import BatchNormDetail
from dslc.site import CHUNKS


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Of the whole, or of chunks, which `chunk_sum` adds."""
    d = detail(op, BatchNormDetail)
    cost = setting.moving(*op.reads[:2])
    context: dict[str, object] = {"pixels": d.pixels, "eps": d.eps}
    if len(op.writes) == 2:
        names = ("dy", "x", "mean", "var", "dgamma", "dbeta")
        context |= {"channels": d.channels, "long": setting.batch * d.pixels > LONG}
        return [Variant("plain", names, context, cost)]
    context |= {"chunks": CHUNKS, "rows": rows_of(d.channels, setting.lanes, 64)}
    return [Variant("chunks", ("dy", "x", "mean", "var", "sums"), context, cost)]
