"""dx of a pooling over the steps that each example has: a share for each of them, or all for the first maximum."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._lengths import StepsDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples; the maximum is found in x again."""
    d = detail(op, StepsDetail)
    names = ("dy", "lengths", "dx") if d.mean else ("dy", "lengths", "x", "dx")
    return [Variant("plain", names, {"d": d}, setting.memory_cost(op.writes[0], factor=1 if d.mean else 2))]
