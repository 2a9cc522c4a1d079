"""A part of each image: somewhere in training, the centre at prediction."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._draw import drawing
from dslc.layers.crop import CropDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d, names = detail(op, CropDetail), ("in", "out")
    if d.stream is None:
        start = tuple((places - 1) // 2 for places in d.places)
        return [Variant("centre", names, {"d": d, "start": start}, setting.moving(op.writes[0]))]
    return [Variant("plain", names, {"d": d, "stream": d.stream}, drawing(op, setting))]
