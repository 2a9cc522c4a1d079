"""Examples interleaved, one in each lane of a vector: [n][elements] becomes [n / lanes][elements][lanes]."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A transposing copy, at twice the cost of a plain one."""
    context = {"elements": op.reads[0].elements, "lanes": setting.lanes}
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.reads[0], factor=2), sizes=("elements",))]
