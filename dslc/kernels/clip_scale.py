"""What all gradients are multiplied by, so that their joint norm does not exceed the limit: min(1, limit / norm)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, ClipDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A few operations on the norms of the parameters; the cost does not matter."""
    norms = [f"norms{i}" for i in range(1, len(op.reads) + 1)]
    context = {"norms": norms, "chunks": CHUNKS, "limit": detail(op, ClipDetail).limit}
    return [Variant("plain", (*norms, "scale"), context, 0.0)]
