"""For each example and channel the sums of dy * x_hat and dy, which are its parts of dgamma and dbeta, and the means
over its group that dx needs."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.groupnorm import sizes
from dslc.layers._group_norm import GroupNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x of each example."""
    d = detail(op, GroupNormDetail)
    names = ("gamma", "slopes", "gamma_parts", "beta_parts") if d.affine else ("slopes",)
    return [Variant("plain", ("dy", "x", "moments", *names), sizes(d, op.reads[0]), setting.memory_cost(*op.reads[:2]))]
