"""The product of two tensors, element by element."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over both; a square reads its tensor once."""
    same = op.reads[0] == op.reads[1]
    context = {"left": "a", "right": "a" if same else "b", "elements": op.writes[0].elements}
    return [Variant("plain", ("a", "y") if same else ("a", "b", "y"), context, setting.moving(*op.reads))]
