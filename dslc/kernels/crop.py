"""A part of each image: at a random position in training, the center at prediction."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import drawing
from dslc.layers.crop import CropDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of the part, row by row; in training a draw for each image as well."""
    d, names = detail(op, CropDetail), ("in", "out")
    if d.stream is None:
        start = tuple((places - 1) // 2 for places in d.places)
        return [Variant("center", names, {"d": d, "start": start}, setting.memory_cost(op.writes[0]))]
    return [Variant("plain", names, {"d": d, "stream": d.stream, "sliced": setting.sliced}, drawing(op, setting))]
