"""Probabilities over the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation

FEW_CLASSES = 128
"""Up to so many, vectors go over examples, which must be transposed; else over classes, which must be folded."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    classes = op.writes[0].shape[-1]
    context = {"classes": classes, "rows": op.writes[0].elements // classes}
    if classes > FEW_CLASSES:
        return [Variant("plain", ("x", "y"), context, setting.moving(op.writes[0], factor=2))]
    context["lanes"] = setting.lanes
    return [Variant("columns", ("x", "y"), context, setting.moving(op.writes[0], factor=3))]
