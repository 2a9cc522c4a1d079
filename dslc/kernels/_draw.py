"""For kernels that draw a few random numbers for each example; their templates begin with `_draw.j2`."""

from __future__ import annotations

from dslc.kernels import Setting
from dslc.operation import Operation

DRAW_NS = 100.0
"""The cost of a draw: twelve random blocks are computed at once, and an example uses one."""


def drawing(op: Operation, setting: Setting, factor: float = 1.0) -> float:
    """Cost in ns of a draw for each example and a pass over the result."""
    return setting.batch * DRAW_NS + setting.memory_cost(op.writes[0], factor=factor)
