"""dy (a - b + eps) / y for the first of two vectors whose distance is y, its negative for the second."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.distance import operands
from dslc.layers.distance import DistanceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both."""
    d = detail(op, DistanceDetail)
    names = operands(op.reads[1:3])
    context = {"features": op.writes[0].elements, "eps": d.eps, "sign": d.sign, "second": names[-1]}
    return [Variant("plain", ("dy", *names, "y", "dx"), context, setting.memory_cost(op.writes[0], factor=3))]
