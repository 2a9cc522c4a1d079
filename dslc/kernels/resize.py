"""More rows and columns by bilinear interpolation."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._resize import resize_context
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the larger image, row by row."""
    return [Variant("plain", ("x", "y"), resize_context(op, setting), setting.memory_cost(op.writes[0], factor=4))]
