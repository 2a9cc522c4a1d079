"""The sum of two or more tensors."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over all terms, which are stored alike; a tensor that is added twice is one argument."""
    tensors = tuple(dict.fromkeys(op.reads))
    names = {t: f"x{i}" for i, t in enumerate(tensors, 1)}
    y = op.writes[0]
    elements = y.elements if y.batched else setting.layout(y).elements
    context = {"terms": [names[t] for t in op.reads], "elements": elements, "batched": y.batched}
    terms, cost = tuple(names.values()), setting.memory_cost(*op.reads)
    return [Variant("plain", (*terms, "y"), context, cost, sizes=("elements",), overwritable=terms)]
