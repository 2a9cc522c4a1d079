"""gamma * (x - mean) / sqrt(var + eps) + beta."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._ending import ending
from dslc.kernels._rows import rows_of
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.site import MOST_CHANNELS
from dslc.operation import Operation

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x in rows of whole vectors, for which the factor of each column is computed once. `plain`, at twice
    the cost, computes it for every number: for more than MOST_CHANNELS channels."""
    d = detail(op, BatchNormDetail)
    reads, end = ending(op, "in", "mean", "var", "gamma", "beta")
    names = (*reads, "out")
    context: dict[str, object] = {"pixels": d.pixels, "eps": d.eps, **end}
    if d.channels > MOST_CHANNELS:
        context["channels"] = d.channels
        return [Variant("plain", names, context, setting.moving(op.reads[0], factor=2))]
    context["rows"] = rows_of(d.channels, setting.lanes, 512)
    return [Variant("rows", names, context, setting.moving(op.reads[0]))]
