"""A copy of images with zeros around them."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._direct import PadDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the padded images, interleaved or not."""
    context = {"d": detail(op, PadDetail), "images": setting.images(op.writes[0]), "depth": setting.depth(op.writes[0])}
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.writes[0]))]
