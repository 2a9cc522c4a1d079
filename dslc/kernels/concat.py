"""Joins tensors along the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of each part into its channels of every pixel."""
    parts = op.detail
    assert isinstance(parts, tuple)
    names = {t: f"x{i}" for i, t in enumerate(dict.fromkeys(op.reads), 1)}
    context = {"parts": list(zip([names[t] for t in op.reads], parts, strict=True)), "pixels": parts[0].pixels}
    return [Variant("plain", (*names.values(), "y"), context, setting.memory_cost(op.writes[0]))]
