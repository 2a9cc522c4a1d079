"""The epilogue of an operation in a pass of its own, over the result where it lies."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, epilogue
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the result, which is read and written, and over the other operand."""
    (result,) = op.writes
    context = {
        **epilogue(op),
        "elements": setting.elements(result),
        "images": setting.images(result),
    }
    return [Variant("plain", ("out", "in"), context, setting.memory_cost(result, factor=3), sizes=("elements",))]
