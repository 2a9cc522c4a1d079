"""Drops whole channels, or all of an example, by random words."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import DRAW_NS
from dslc.kernels._epilogue import fused_epilogue
from dslc.layers.dropout import DropoutDetail
from dslc.operation import Operation

FUSES = True
WORDS = 48
"""Words of the twelve blocks that are drawn at once."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """`plain` draws for the channels of an example in groups, `examples` once for an example; then one pass."""
    d, result = detail(op, DropoutDetail), op.writes[0]
    reads, end = fused_epilogue(op, "in")
    names = (*reads, "out")
    context = {"d": d, "stream": d.stream, "sliced": setting.sliced, **end}
    draws = -(-d.words // WORDS) * setting.batch * DRAW_NS
    cost = draws + setting.memory_cost(result)
    if d.words == 1:
        context["elements"] = result.elements
        return [Variant("examples", names, context, cost, sizes=("stream", "elements"))]
    channels = result.shape[-1]
    context |= {"channels": channels, "pixels": result.elements // channels, "most": WORDS}
    return [Variant("plain", names, context, cost, sizes=("stream",))]
