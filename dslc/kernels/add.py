"""The sum of two or more tensors."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over all terms; a tensor that is added twice is one argument."""
    tensors = tuple(dict.fromkeys(op.reads))
    names = {t: f"x{i}" for i, t in enumerate(tensors, 1)}
    context = {"terms": [names[t] for t in op.reads], "elements": op.writes[0].elements}
    return [Variant("plain", (*names.values(), "y"), context, setting.memory_cost(*op.reads), sizes=("elements",))]
