"""Softmax and cross-entropy with probabilities as targets, and the gradient of the logits, (p * sum(q) - q) / n."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses.cross_entropy import CrossEntropyDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Vectors go along the classes."""
    d = detail(op, CrossEntropyDetail)
    context = {
        "classes": d.classes, "gradient": len(op.writes) > 1, "weight": d.weight, "smoothing": d.smoothing,
        "share": d.smoothing / d.classes, "divergence": d.divergence,
    }  # fmt: skip
    names = ("z", "target", "sample_weights", "example_loss", "dz")[: 3 + len(op.writes)]
    return [Variant("plain", names, context, setting.memory_cost(*op.reads[:2], factor=2))]
