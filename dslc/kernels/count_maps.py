"""The divisor of a loss of whole maps: the channels of examples that have a target, or the sum of their sample
weights."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses.dice import DiceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the targets."""
    d = detail(op, DiceDetail)
    context = {"pixels": d.pixels, "channels": d.channels}
    return [Variant("plain", ("target", "sample_weights", "count"), context, 0.0)]
