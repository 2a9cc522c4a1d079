"""The Euclidean distance of two vectors."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.distance import DistanceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both."""
    context = {"features": op.reads[0].elements, "eps": detail(op, DistanceDetail).eps}
    return [Variant("plain", ("a", "b", "y"), context, setting.memory_cost(*op.reads))]
