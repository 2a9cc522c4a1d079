"""The penalty of a regularizer, summed in a fixed number of chunks."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, ParameterDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the weights as they are stored; their padding is zero and adds nothing."""
    context = {
        "formula": detail(op, ParameterDetail).formula,
        "elements": setting.layout(op.reads[0]).elements,
        "chunks": CHUNKS,
    }
    return [Variant("plain", ("weights", "sums"), context, setting.memory_cost(op.reads[0]), sizes=("elements",))]
