"""(x - mean) / std of each channel."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import rows_of
from dslc.layers.standardize import StandardizeDetail
from dslc.lowering.site import MAX_CHANNELS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over x in rows of whole vectors; `plain`, at twice the cost, for more than MAX_CHANNELS channels."""
    d = detail(op, StandardizeDetail)
    names, cost = ("in", "mean", "std", "out"), setting.memory_cost(*op.writes)
    if d.channels > MAX_CHANNELS:
        return [Variant("plain", names, {"d": d}, 2 * cost)]
    return [Variant("rows", names, {"pixels": d.pixels, "rows": rows_of(d.channels, setting.lanes, 512)}, cost)]
