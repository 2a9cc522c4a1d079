"""The optimizer's rule for every element of a parameter."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.lower import ParameterDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    rule = detail(op, ParameterDetail).rule
    assert rule is not None
    states = [name for name, _ in rule.assignments if name != "w"]
    context = {
        "elements": setting.layout(op.reads[0]).elements, "assignments": rule.assignments, "once": rule.once,
        "states": states,
    }  # fmt: skip
    arrays = ("weights", "gradient", *(f"{name}_state" for name in states))
    return [Variant("plain", arrays, context, setting.moving(*op.reads))]
