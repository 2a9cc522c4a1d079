"""The largest number along an axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.reduce_max import ReduceMaxDetail
from dslc.operation import Operation

BLOCK = 128
"""Numbers behind the axis that are compared at a time."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share what lies before the axis; vectors go along what lies behind it."""
    d = detail(op, ReduceMaxDetail)
    context = {"d": d, "block": min(BLOCK, d.inner)}
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.reads[0], factor=2))]
