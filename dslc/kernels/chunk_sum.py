"""Adds sums of chunks in the order of the chunks."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Over all chunks of every array, element by element."""
    names = tuple(f"sum{i}" for i in range(1, len(op.writes) + 1))
    context = {"names": names, "channels": op.writes[0].elements, "chunks": CHUNKS}
    return [Variant("plain", ("sums", *names), context, setting.memory_cost(*op.reads), sizes=("channels",))]
