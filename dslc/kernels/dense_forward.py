"""y = x W^T + b."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.graph import Operation
from dslc.kernels import Setting, Variant
from dslc.layout import Layout


def variants(op: Operation, setting: Setting) -> list[Variant]:
    x, w, y = op.reads[0], op.reads[1], op.writes[0]
    layout, bias = setting.layout(w), len(op.reads) > 2
    names = ("x", "w", "b", "y") if bias else ("x", "w", "y")
    context = {
        "inputs": x.elements, "units": y.elements, "bias": bias, "blocks": layout.blocks, "lanes": layout.width,
        "tail": y.elements - (layout.blocks - 1) * layout.width,
    }  # fmt: skip
    return [Variant("plain", names, context, setting.multiplying(op))]


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights in panels of one vector of units: [units / lanes][inputs][lanes]."""
    w = op.reads[1]
    return {w.name: Layout(w.shape, 0, lanes)}
