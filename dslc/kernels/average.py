"""Moves the average of a parameter towards the parameter."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import AverageDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both, which are stored alike."""
    context = {"keep": detail(op, AverageDetail).keep, "elements": setting.layout(op.reads[0]).elements}
    return [Variant("plain", ("weights", "mean"), context, setting.memory_cost(op.reads[0], factor=2))]
