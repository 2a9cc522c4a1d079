"""A matrix of weights with rows and columns exchanged, from and to plain matrices or blocks of rows."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the rows of the result."""
    w, turned = op.reads[0], op.writes[0]
    context = {
        "rows": turned.shape[0], "columns": turned.shape[1],
        "from_block": setting.layout(w).width, "to_block": setting.layout(turned).width,
    }  # fmt: skip
    return [Variant("plain", ("w", "turned"), context, setting.memory_cost(turned, factor=4))]
