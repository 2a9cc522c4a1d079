"""dy (a - b + eps) / y for the first of two vectors whose distance is y, its negative for the second."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.distance import DistanceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both."""
    d = detail(op, DistanceDetail)
    context = {"features": op.writes[0].elements, "eps": d.eps, "sign": d.sign}
    return [Variant("plain", ("dy", "a", "b", "y", "dx"), context, setting.memory_cost(op.writes[0], factor=3))]
