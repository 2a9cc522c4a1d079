"""Drops elements by random words that depend only on seed, step, stream and position."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._epilogue import fused_epilogue
from dslc.layers.dropout import DropoutDetail
from dslc.operation import Operation

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; drawing a word for each element makes it three times as expensive as a copy."""
    d = detail(op, DropoutDetail)
    reads, end = fused_epilogue(op, "in")
    context = {
        "d": d, "stream": d.stream, "elements": op.writes[0].elements,
        "sliced": setting.sliced, **end,
    }  # fmt: skip
    return [Variant("plain", (*reads, "out"), context, setting.memory_cost(op.writes[0], factor=3), sizes=("stream",))]
