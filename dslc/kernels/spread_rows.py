"""Rows an odd number of cache lines apart, so that the same place of several rows is in different sets of the cache."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; what lies between the rows is not read."""
    x, y = op.reads[0], op.writes[0]
    context = {"numbers": x.elements, "row": y.elements}
    return [Variant("plain", ("x", "spread"), context, setting.memory_cost(x), sizes=("numbers", "row"))]
