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
    context = {**panels(layout, x.elements, y.elements), "bias": bias}
    return [Variant("plain", names, context, setting.multiplying(op))]


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights in panels of one vector of units: [units / lanes][inputs][lanes]."""
    w = op.reads[1]
    return {w.name: Layout(w.shape, 0, lanes)}


def panels(layout: Layout, inputs: int, units: int) -> dict[str, object]:
    """What all kernels on weights in panels need; `tail` is how many units the last panel really has."""
    tail = units - (layout.blocks - 1) * layout.width
    return {"inputs": inputs, "units": units, "blocks": layout.blocks, "lanes": layout.width, "tail": tail}
