"""Weights rounded to bf16: panels [units / V][inputs][V] become [units / V][inputs / 2][V] pairs of inputs."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant
from dslc.layout import Layout
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; the last of an odd number of inputs is paired with zeros."""
    w = op.reads[0]
    context = {
        "inputs": w.shape[1], "blocks": setting.layout(w).blocks, "lanes": setting.lanes
    }  # fmt: skip
    return [Variant("plain", ("w", "rounded"), context, setting.memory_cost(w))]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights in panels of one vector of units."""
    w = op.reads[0]
    return {w.name: Layout(w.shape, 0, lanes)}
