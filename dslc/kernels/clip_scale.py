"""What all gradients are multiplied by, so that their common norm does not exceed the limit."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, ClipDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    norms = [f"norms{i}" for i in range(1, len(op.reads) + 1)]
    context = {"norms": norms, "chunks": CHUNKS, "limit": detail(op, ClipDetail).limit}
    return [Variant("plain", (*norms, "scale"), context, 0.0)]
