"""dx of the largest number along an axis: dy where the first largest is, else 0."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.reduce_max import BLOCK
from dslc.layers.reduce_max import ReduceMaxDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """As `reduce_max`, with the place of the largest."""
    d = detail(op, ReduceMaxDetail)
    context = {"d": d, "block": min(BLOCK, d.inner)}
    return [Variant("plain", ("dy", "x", "dx"), context, setting.memory_cost(op.reads[1], factor=3))]
