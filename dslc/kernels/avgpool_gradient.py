"""dy is spread evenly over the real pixels of its window."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._ending import ending
from dslc.kernels._pool import backward
from dslc.operation import Operation

FUSES = True
FOLLOWS = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    dy, dx = op.reads[0], op.writes[0]
    reads, end = ending(op, "dout")
    pool = backward(op, setting, dx, dy)
    return [Variant("plain", (*reads, "din"), {"pool": pool, "d": pool.d, **end}, setting.moving(dx))]
