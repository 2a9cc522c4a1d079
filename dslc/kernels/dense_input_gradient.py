"""dx = dy W."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant
from dslc.kernels.dense_forward import panels


def variants(op: Operation, setting: Setting) -> list[Variant]:
    dy, w = op.reads
    context = panels(setting.layout(w), op.writes[0].elements, dy.elements)
    return [Variant("plain", ("dy", "w", "dx"), context, setting.multiplying(op, 0.7))]
