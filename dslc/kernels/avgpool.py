"""The mean of the pixels of each window, without padding."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._pool import WHOLE_SIZES, forward
from dslc.operation import Operation

FUSES = True
KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x: small windows are unrolled along rows, large ones are summed block by block;
    `whole` where the only window is the image."""
    x, y = op.reads[0], op.writes[0]
    reads, end = fused_epilogue(op, "in")
    pool = forward(op, setting, x, y)
    cost = setting.memory_cost(x)
    if pool.whole:
        return [Variant("whole", (*reads, "out"), {**pool.of_images, **end}, cost, sizes=WHOLE_SIZES)]
    context = {"pool": pool, "d": pool.d, **end}
    return [Variant("plain", (*reads, "out"), context, cost, overwritable=pool.overwritable)]
