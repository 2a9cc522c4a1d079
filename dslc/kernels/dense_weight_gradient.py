"""dW = dy^T x, summed over the mini-batch."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant


def variants(op: Operation, setting: Setting) -> list[Variant]:
    x, dy = op.reads
    layout = setting.layout(op.writes[0])
    context = {
        "inputs": x.elements, "units": dy.elements, "blocks": layout.blocks, "lanes": layout.width,
        "tail": dy.elements - (layout.blocks - 1) * layout.width,
    }  # fmt: skip
    return [Variant("plain", ("x", "dy", "dw"), context, setting.multiplying(op, 0.7))]
