"""A copy of images with zeros around them."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._direct import PadDetail
from dslc.operation import Operation

SIZES = ("in_rows", "out_rows", "above", "in_numbers", "out_numbers", "before", "some")
"""What may be parameters: numbers are those of a row."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the padded images, interleaved or not."""
    d, depth = detail(op, PadDetail), setting.depth(op.writes[0])
    context = {
        "images": setting.images(op.writes[0]), "in_rows": d.input[0], "out_rows": d.output[0], "above": d.before[0],
        "in_numbers": d.input[1] * depth, "out_numbers": d.output[1] * depth, "before": d.before[1] * depth,
        "some": max(0, min(d.input[1], d.output[1] - d.before[1])) * depth,
    }  # fmt: skip
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.writes[0]), sizes=SIZES)]
