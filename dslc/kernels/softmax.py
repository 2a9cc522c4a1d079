"""Probabilities over the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation

FEW_CLASSES = 128
"""Up to this many classes, vectors go along examples, which have to be transposed; with more, along the classes, which
need horizontal sums."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """`columns` for few classes, `plain` for many; three passes over the logits: maximum, exponentials and their sum,
    division."""
    return in_rows_or_columns(op, setting)


def in_rows_or_columns(op: Operation, setting: Setting) -> list[Variant]:
    """`columns` for up to FEW_CLASSES numbers on the last axis, else `plain`, row by row."""
    classes = op.writes[0].shape[-1]
    context = {"classes": classes, "rows": op.writes[0].elements // classes}
    if classes > FEW_CLASSES:
        return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.writes[0], factor=2))]
    context["lanes"] = setting.lanes
    return [Variant("columns", ("x", "y"), context, setting.memory_cost(op.writes[0], factor=3))]
