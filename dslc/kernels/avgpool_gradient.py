"""dy is shared equally by the pixels of its window, without padding."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._pool import WHOLE_SIZES, backward
from dslc.operation import Operation

FUSES = True
KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dx; where windows overlap, all windows of an image belong to one task, which adds them in order.
    `whole` where the only window is the image."""
    dy, dx = op.reads[0], op.writes[0]
    reads, end = fused_epilogue(op, "dout")
    pool = backward(op, setting, dx, dy)
    cost = setting.memory_cost(dx)
    if pool.whole:
        return [Variant("whole", (*reads, "din"), {**pool.of_images, **end}, cost, sizes=WHOLE_SIZES)]
    return [Variant("plain", (*reads, "din"), {"pool": pool, "d": pool.d, **end}, cost)]
