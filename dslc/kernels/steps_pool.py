"""The mean or the maximum of each channel over the steps that each example has."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._lengths import StepsDetail
from dslc.operation import Operation

BLOCK = 64
"""Steps that are summed before their sum is added to others: short sums have less rounding error."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples; vectors go along the channels."""
    context = {"d": detail(op, StepsDetail), "block": BLOCK}
    return [Variant("plain", ("x", "lengths", "y"), context, setting.memory_cost(op.reads[0]))]
