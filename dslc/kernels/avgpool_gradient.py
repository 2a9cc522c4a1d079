"""dy is shared equally by the pixels of its window, without padding."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._pool import backward
from dslc.operation import Operation

FUSES = True
KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dx; where windows overlap, all windows of an image belong to one task, which adds them in order."""
    dy, dx = op.reads[0], op.writes[0]
    reads, end = fused_epilogue(op, "dout")
    pool = backward(op, setting, dx, dy)
    return [Variant("plain", (*reads, "din"), {"pool": pool, "d": pool.d, **end}, setting.memory_cost(dx))]
