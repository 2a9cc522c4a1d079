"""Mirrors images by a bit that depends only on seed, step, stream and example."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import drawing
from dslc.layers.flip import FlipDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of each image with its rows or columns in reverse order if its bit is set."""
    d = detail(op, FlipDetail)
    return [
        Variant("plain", ("in", "out"), {"d": d, "stream": d.stream, "sliced": setting.sliced}, drawing(op, setting))
    ]
