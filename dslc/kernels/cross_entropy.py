"""Softmax and cross-entropy together, and the gradient of the logits, (p - q) / n."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.softmax import FEW_CLASSES
from dslc.losses.cross_entropy import CrossEntropyDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """With few classes vectors go along examples, which are transposed first; with many they go along the classes."""
    d = detail(op, CrossEntropyDetail)
    context = {
        "classes": d.classes, "gradient": len(op.writes) > 1, "weight": d.weight, "smoothing": d.smoothing,
        "share": d.smoothing / d.classes,
    }  # fmt: skip
    names = ("z", "target", "sample_weights", "example_loss", "dz")[: 3 + len(op.writes)]
    if d.classes > FEW_CLASSES:
        return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=2))]
    context["lanes"] = setting.lanes
    return [Variant("columns", names, context, setting.memory_cost(op.reads[0], factor=3))]
