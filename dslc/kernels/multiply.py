"""The product of two or more tensors, element by element."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over all factors; a factor that occurs twice is read once."""
    tensors = tuple(dict.fromkeys(op.reads))
    names = {t: f"x{i}" for i, t in enumerate(tensors, 1)}
    context = {"factors": [names[t] for t in op.reads], "elements": op.writes[0].elements}
    return [Variant("plain", (*names.values(), "y"), context, setting.memory_cost(*op.reads))]
