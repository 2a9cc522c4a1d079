"""Mean and biased variance of each channel over mini-batch and pixels."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, rows_of
from dslc.layers.batchnorm import BatchNormDetail
from dslc.site import CHUNKS


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Of the whole in two passes, or of chunks in one, which `batchnorm_merge` puts together."""
    d = detail(op, BatchNormDetail)
    x = op.reads[0]
    if len(op.writes) == 2:
        context = {"channels": d.channels, "pixels": d.pixels, "long": setting.batch * d.pixels > LONG}
        return [Variant("plain", ("x", "mean", "var"), context, setting.moving(x, factor=2))]
    rows = rows_of(d.channels, setting.lanes, 64)
    return [
        Variant("chunks", ("x", "moments"), {"pixels": d.pixels, "chunks": CHUNKS, "rows": rows}, setting.moving(x))
    ]
