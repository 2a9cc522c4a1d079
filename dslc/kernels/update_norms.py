"""The norms over a parameter that an optimizer's rule trusts in, in a fixed number of chunks: of the weights or of the
direction that they are about to take, for example."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.update import names_of_reads, rule_context
from dslc.lowering.details import CHUNKS, ParameterDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over what the update reads, as it is stored; padding is zero and adds nothing."""
    rule = detail(op, ParameterDetail).rule
    assert rule is not None and rule.trust is not None
    context = {key: value for key, value in rule_context(op).items() if key not in ("rule", "between")}
    states = rule.states_before_trust
    context |= {"assignments": rule.before_trust, "states": states, "of": rule.trust.of, "chunks": CHUNKS}
    context["elements"] = setting.layout(op.reads[0]).elements
    return [
        Variant("plain", (*names_of_reads(op, states, len(op.reads)), "norms"), context, setting.memory_cost(*op.reads))
    ]
