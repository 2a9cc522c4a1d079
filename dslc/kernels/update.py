"""The optimizer's rule for every element of a parameter, with the slope of its regularizers and clipping."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import ParameterDetail
from dslc.operation import Operation

FUSED = 0.2
"""What a fused update costs for each number that it moves on, as a share of a pass of its own: it streams through
arrays that it both reads and writes. Measured with Adam, one thread and weights that no core's cache holds."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over weights, gradient and states as they are stored; padding stays zero."""
    context = {key: value for key, value in rule_context(op).items() if key != "rule"}
    context["elements"] = setting.layout(op.reads[0]).elements
    rule = detail(op, ParameterDetail).rule
    assert rule is not None
    trust = () if rule.trust is None else ("trust",)
    names = (*names_of_reads(op, rule.states, len(op.reads) - len(trust)), *trust)
    return [Variant("plain", names, context, setting.memory_cost(*op.reads), sizes=("elements",))]


def names_of_reads(op: Operation, states: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The C names of the first `count` tensors that an update reads: weights, gradient, states and, where gradients are
    clipped by their norm, `scale`."""
    return ("weights", "gradient", *(f"{name}_state" for name in states), "scale")[:count]


def rule_context(op: Operation) -> dict[str, object]:
    """Values for templates with an update; without a rule, only that there is none."""
    if not isinstance(op.detail, ParameterDetail) or op.detail.rule is None:
        return {
            "rule": False, "once": (), "slope": None, "clipped": None, "assignments": (), "states": (), "between": (),
        }  # fmt: skip
    rule = op.detail.rule
    return {
        "rule": True, "once": rule.once, "slope": op.detail.formula, "clipped": op.detail.clipped,
        "assignments": rule.assignments, "states": rule.states, "between": rule.between,
    }  # fmt: skip


def rule_cost(op: Operation, setting: Setting) -> float:
    """What an update costs, in ns, that is fused into the operation that computes the gradient; 0 without a rule."""
    return setting.memory_cost(*op.writes, factor=FUSED) if rule_names(op) else 0.0


def rule_names(op: Operation) -> tuple[str, ...]:
    """The C names of the arrays of a rule: the weights and the optimizer's states."""
    if not isinstance(op.detail, ParameterDetail) or op.detail.rule is None:
        return ()
    return ("weights", *(f"{name}_state" for name in op.detail.rule.states))
