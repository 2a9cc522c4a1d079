"""What kernels that draw a few random numbers for each example share; their templates begin with `_draw.j2`."""

from __future__ import annotations

from dslc.kernels import Setting
from dslc.operation import Operation

DRAW_NS = 100.0
"""What a draw costs: twelve random blocks come at once, and an example uses one."""


def drawing(op: Operation, setting: Setting, factor: float = 1.0) -> float:
    """Cost of one draw for each example and of passing over the result."""
    return setting.batch * DRAW_NS + setting.moving(op.writes[0], factor=factor)
