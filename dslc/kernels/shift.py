"""Moves images by whole pixels and fills with zeros."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import drawing
from dslc.layers.shift import ShiftDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of each image to its new place, row by row."""
    d = detail(op, ShiftDetail)
    return [
        Variant("plain", ("in", "out"), {"d": d, "stream": d.stream, "sliced": setting.sliced}, drawing(op, setting))
    ]
