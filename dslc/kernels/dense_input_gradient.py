"""dx = dy W."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant


def variants(op: Operation, setting: Setting) -> list[Variant]:
    dy, w = op.reads
    layout = setting.layout(w)
    context = {
        "inputs": op.writes[0].elements, "units": dy.elements, "blocks": layout.blocks, "lanes": layout.width,
        "tail": dy.elements - (layout.blocks - 1) * layout.width,
    }  # fmt: skip
    return [Variant("plain", ("dy", "w", "dx"), context, setting.multiplying(op, 0.7))]
