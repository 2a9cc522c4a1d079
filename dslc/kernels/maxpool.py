"""The maximum of each window."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._ending import ending
from dslc.kernels._pool import forward
from dslc.operation import Operation

FUSES = True
FOLLOWS = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x: small windows are unrolled along rows, large ones are compared block by block."""
    x, y = op.reads[0], op.writes[0]
    reads, end = ending(op, "in")
    pool = forward(op, setting, x, y)
    return [Variant("plain", (*reads, "out"), {"pool": pool, "d": pool.d, **end}, setting.moving(x))]
