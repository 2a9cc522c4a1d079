"""How many words each example has before its padding."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.lengths import LengthsDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """From the end of each example to its last word."""
    return [Variant("plain", ("x", "y"), {"d": detail(op, LengthsDetail)}, setting.memory_cost(op.reads[0]))]
