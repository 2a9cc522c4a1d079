"""Bilinear interpolation by whole factors: what both directions have in common."""

from __future__ import annotations

from dslc.kernels import Setting, detail
from dslc.layers.upsample import ResizeDetail
from dslc.operation import Operation


def resize_context(op: Operation, setting: Setting) -> dict[str, object]:
    """Values for the templates. A new row lies (2 row + 1 - scale) / (2 scale) rows below the first: a whole number of
    rows, and a fraction by which the next one counts."""
    d, y = detail(op, ResizeDetail), op.writes[0]
    return {"d": d, "images": setting.images(y), "depth": setting.depth(y)}
