"""Joins tensors along the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of each part into its channels of every pixel."""
    parts = op.detail
    assert isinstance(parts, tuple)
    names = {t: f"x{i}" for i, t in enumerate(dict.fromkeys(op.reads), 1)}
    context = {
        "parts": [names[t] for t in op.reads], "pixels": parts[0].pixels, "total": parts[0].total,
        "starts": tuple(p.start for p in parts), "widths": tuple(p.width for p in parts),
    }  # fmt: skip
    sizes = ("pixels", "total", "starts", "widths")
    return [Variant("plain", (*names.values(), "y"), context, setting.memory_cost(op.writes[0]), sizes=sizes)]
