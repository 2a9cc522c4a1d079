"""Softmax and cross-entropy of every pixel with a label, summed for each example, and the gradient of the logits."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses.pixel_cross_entropy import PixelCrossEntropyDetail
from dslc.operation import Operation

MANY = 64
"""From so many classes on, partial sums and maxima fill vectors."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Vectors go along the classes; many of them are summed in parts."""
    d, gradient = detail(op, PixelCrossEntropyDetail), len(op.writes) > 1
    context = {
        "pixels": op.reads[1].elements, "classes": d.classes, "class_weights": d.class_weights, "weight": d.weight,
        "gradient": gradient, "many": d.classes >= MANY,
    }  # fmt: skip
    given = ("z", "target", "sample_weights")
    names = (*given, "count", "example_loss", "dz") if gradient else (*given, "example_loss")
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=4))]
