"""gamma * (x - mean) / sqrt(var + eps) + beta over groups of channels; mean and 1 / sqrt(var + eps) are stored for
every channel."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG
from dslc.layers._group_norm import GroupNormDetail
from dslc.operation import Operation, Tensor


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Three passes over each example: mean, variance, result. Sums go down the channels first, as vectors, and then
    over the channels of a group."""
    d = detail(op, GroupNormDetail)
    names = ("x", "gamma", "beta", "y", "moments") if d.affine else ("x", "y", "moments")
    context = {**sizes(d, op.reads[0]), "eps": d.eps}
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=3))]


def sizes(d: GroupNormDetail, x: Tensor) -> dict[str, object]:
    """What the templates of sums over groups need to know."""
    channels = x.shape[-1]
    pixels = x.elements // channels
    return {"channels": channels, "pixels": pixels, "groups": d.groups, "each": channels // d.groups,
            "long": pixels > LONG, "affine": d.affine}  # fmt: skip
