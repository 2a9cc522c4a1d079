"""The norm of a gradient, in a fixed number of chunks. Norms are stored and not their squares, which overflow
sooner."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the gradient as it is stored; its padding is zero and adds nothing."""
    context = {"elements": setting.layout(op.reads[0]).elements, "chunks": CHUNKS}
    return [Variant("plain", ("gradient", "norms"), context, setting.memory_cost(op.reads[0]))]
