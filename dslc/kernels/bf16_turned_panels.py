"""Weights rounded to bf16 and turned: panels [units / V][inputs][V] become [inputs / V][units / 2][V] pairs of
units."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant, bf16_panels
from dslc.layout import Layout
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Squares of vectors are transposed; without vectors number by number."""
    w = op.reads[0]
    context = {
        "units": w.shape[0], "inputs": w.shape[1], "blocks": setting.layout(w).blocks, "lanes": setting.lanes
    }  # fmt: skip
    return [Variant("plain", ("w", "rounded"), context, setting.memory_cost(w, factor=2))]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights in panels of one vector of units."""
    return bf16_panels.preferred_layouts(op, lanes)
