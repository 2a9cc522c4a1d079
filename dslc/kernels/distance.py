"""The Euclidean distance of two vectors."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.distance import DistanceDetail
from dslc.operation import Operation, Tensor


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both."""
    names = operands(op.reads)
    context = {"features": op.reads[0].elements, "eps": detail(op, DistanceDetail).eps, "second": names[-1]}
    return [Variant("plain", (*names, "y"), context, setting.memory_cost(*op.reads))]


def operands(read: tuple[Tensor, ...]) -> tuple[str, ...]:
    """The names of the two vectors; of a vector and itself there is one."""
    return ("a", "b")[: len(set(read))]
