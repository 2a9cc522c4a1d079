"""dx of bilinear interpolation."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._resize import resize_context
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the larger image; all of an image belongs to one task, which adds in order."""
    return [Variant("plain", ("dy", "dx"), resize_context(op, setting), setting.memory_cost(op.reads[0], factor=4))]
