"""The least and the largest number of a mini-batch, in a fixed number of chunks."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the mini-batch; chunks without an example have its first number."""
    x = op.reads[0]
    context = {"elements": x.elements, "chunks": CHUNKS}
    return [Variant("plain", ("x", "ends"), context, setting.memory_cost(x), sizes=("elements",))]
