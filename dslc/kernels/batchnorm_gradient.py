"""dx of a batch normalization in training: gamma / sqrt(var + eps) * (dy - (dbeta + x_hat * dgamma) / m)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._rows import ROW_SIZES, row_context
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.site import MAX_CHANNELS
from dslc.operation import Operation

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x in rows of whole vectors; `plain`, at three times the cost, for more than MAX_CHANNELS
    channels."""
    d = detail(op, BatchNormDetail)
    reads, end = fused_epilogue(op, "dout", "in", "mean", "var", "gamma", "dgamma", "dbeta")
    names = (*reads, "din")
    context: dict[str, object] = {"pixels": d.pixels, "channels": d.channels, "eps": d.eps, **end}
    context["examples"] = "all_examples" if d.over_ranks else "n"
    if d.channels > MAX_CHANNELS:
        return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=3))]
    context |= row_context(d.channels, d.pixels, setting.lanes, 512)
    return [Variant("rows", names, context, setting.memory_cost(op.reads[0]), sizes=ROW_SIZES)]
