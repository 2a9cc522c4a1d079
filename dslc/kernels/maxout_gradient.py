"""dy for the first of the largest pieces, 0 for the others."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.maxout import MaxoutDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x."""
    context = {"elements": op.reads[0].elements, "pieces": detail(op, MaxoutDetail).pieces}
    return [Variant("plain", ("dy", "x", "dx"), context, setting.memory_cost(*op.reads))]
