"""The dice loss of each example, summed over its channels, and the gradient of the logits."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses.dice import DiceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over the logits, of which the second computes the gradient; long sums are in double precision."""
    d, gradient = detail(op, DiceDetail), len(op.writes) > 1
    context = {
        "pixels": d.pixels, "channels": d.channels, "smooth": d.smooth, "weight": d.weight, "gradient": gradient,
    }  # fmt: skip
    given = ("z", "target", "sample_weights")
    names = (*given, "count", "example_loss", "dz") if gradient else (*given, "example_loss")
    return [Variant("plain", names, context, setting.memory_cost(*op.reads[:2], factor=4))]
