"""dx = dy - e^y * sum(dy) over the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over each example: the sum, then dx."""
    classes = op.writes[0].shape[-1]
    context = {"classes": classes, "features": classes, "rows": op.writes[0].elements // classes}
    return [Variant("plain", ("dy", "y", "dx"), context, setting.memory_cost(*op.reads, factor=2))]
