"""gamma * (x - mean) / sqrt(var + eps) + beta."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._rows import ROW_SIZES, row_context
from dslc.layers.batchnorm import BatchNormDetail
from dslc.lowering.site import MAX_CHANNELS
from dslc.operation import Operation

FUSES = True
TEMPLATE = "kernels/batchnorm_apply{}.c.j2"


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x in rows of whole vectors, for which the factor of each column is computed once. `plain`, at twice
    the cost, computes it for every number: for more than MAX_CHANNELS channels."""
    return in_one_pass(op, setting, ("in", "mean", "var", "gamma", "beta"))


def in_one_pass(op: Operation, setting: Setting, names: tuple[str, ...]) -> list[Variant]:
    """A factor for every channel, and a summand where a mean and a beta are read."""
    d = detail(op, BatchNormDetail)
    reads, end = fused_epilogue(op, *names)
    names = (*reads, "out")
    context: dict[str, object] = {
        "pixels": d.pixels, "channels": d.channels, "eps": d.eps, "shifts": "beta" in names, **end
    }  # fmt: skip
    if d.channels > MAX_CHANNELS:
        cost = setting.memory_cost(op.reads[0], factor=2)
        return [Variant("plain", names, context, cost, shared_template=TEMPLATE.format(""))]
    context |= row_context(d.channels, d.pixels, setting.lanes, 512)
    cost, sizes = setting.memory_cost(op.reads[0]), ROW_SIZES
    return [Variant("rows", names, context, cost, shared_template=TEMPLATE.format("_rows"), sizes=sizes)]
