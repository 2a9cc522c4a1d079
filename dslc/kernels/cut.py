"""A box of an image."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._boxes import box_context
from dslc.layers._boxes import BoxDetail
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy, row by row. A row of the box is whole pixels, or a part of one."""
    d = detail(op, BoxDetail)
    assert d.box[1] == 1 or d.box[2] == d.image[2]
    return [Variant("plain", ("x", "y"), box_context(op, setting), setting.memory_cost(op.writes[0]))]
