"""Boxes inside of images: what the kernels that fill and that copy them have in common."""

from __future__ import annotations

from dslc.kernels import Setting, detail
from dslc.layers._boxes import BoxDetail
from dslc.operation import Operation


def box_context(op: Operation, setting: Setting) -> dict[str, object]:
    """Values for the templates: `depth` numbers in a pixel of the image, `run` of them in the box, and the offset
    `first` of the box in a row."""
    d, y = detail(op, BoxDetail), op.writes[0]
    lanes = setting.layout(y).examples
    depth = d.image[2] * lanes
    first = d.start[1] * depth + d.start[2] * lanes
    return {"d": d, "images": setting.images(y), "depth": depth, "run": d.box[2] * lanes, "first": first}
