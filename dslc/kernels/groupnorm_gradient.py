"""dx of a group normalization: (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(var + eps) with g = dy * gamma; the means
are those of `groupnorm_sums`."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._group_norm import GroupNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x, of which threads share the pixels."""
    affine = detail(op, GroupNormDetail).affine
    channels = op.writes[0].shape[-1]
    context = {"channels": channels, "pixels": op.writes[0].elements // channels, "affine": affine}
    names = ("dy", "x", "moments", "slopes", "gamma", "dx") if affine else ("dy", "x", "moments", "slopes", "dx")
    return [Variant("plain", names, context, setting.memory_cost(*op.reads[:2]))]
