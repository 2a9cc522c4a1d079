"""Adds the slope of the penalties, divided by the number of examples, to the gradient of a parameter."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import ParameterDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over weights and gradient, which are stored alike."""
    context = {"formula": detail(op, ParameterDetail).formula, "elements": setting.layout(op.reads[0]).elements}
    return [Variant("plain", ("weights", "gradient"), context, setting.memory_cost(op.reads[0]), sizes=("elements",))]
