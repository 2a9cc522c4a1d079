"""Packs filters from the language's order into blocks of one vector."""

from __future__ import annotations

from math import prod

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A transposing copy: [taps][channels][filters] becomes [filters / lanes][taps][channels][lanes]."""
    *each, filters = op.reads[0].shape
    context = {
        "each": prod(each), "filters": filters, "lanes": setting.lanes,
        "blocks": setting.layout(op.writes[0]).blocks,
    }  # fmt: skip
    return [Variant("plain", ("w", "packed"), context, setting.memory_cost(op.writes[0], factor=2))]
