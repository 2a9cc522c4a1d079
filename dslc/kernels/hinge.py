"""The multi-class hinge loss and the gradient of the outputs (Crammer and Singer 2001)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses import LossDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """For each example a search for the best wrong class, then two entries of dz."""
    context = {
        "classes": op.reads[0].elements, "gradient": len(op.writes) > 1, "weight": detail(op, LossDetail).weight,
    }  # fmt: skip
    names = ("z", "target", "sample_weights", "example_loss", "dz")[: 3 + len(op.writes)]
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=2))]
