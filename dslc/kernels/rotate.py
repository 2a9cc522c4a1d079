"""Rotates images about their center with bilinear interpolation."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import drawing
from dslc.layers.rotate import RotateDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Four pixels with a weight each for every pixel of the result: some twenty times as expensive as a copy."""
    d = detail(op, RotateDetail)
    return [
        Variant(
            "plain",
            ("in", "out"),
            {"d": d, "stream": d.stream, "sliced": setting.sliced},
            drawing(op, setting, factor=20),
        )
    ]
