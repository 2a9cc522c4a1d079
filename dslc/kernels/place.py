"""A box inside an image of zeros."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._boxes import box_context
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy, row by row."""
    return [Variant("plain", ("x", "y"), box_context(op, setting), setting.memory_cost(op.writes[0]))]
