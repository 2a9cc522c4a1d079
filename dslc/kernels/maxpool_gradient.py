"""dy is added to the first pixel with the maximum of its window."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._pool import backward
from dslc.operation import Operation

FUSES = True
KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x, in which the maximum is found again, and dx; overlapping windows belong to one task, in
    order."""
    dy, x, dx = *op.reads[:2], op.writes[0]
    reads, end = fused_epilogue(op, "dout", "in")
    pool = backward(op, setting, x, dy)
    return [Variant("plain", (*reads, "din"), {"pool": pool, "d": pool.d, **end}, setting.memory_cost(x, dx))]
