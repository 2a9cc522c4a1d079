"""A range of the channels of a tensor."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.concat import SliceDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of the channels of every pixel."""
    d = detail(op, SliceDetail)
    context = {"pixels": d.pixels, "total": d.total, "start": d.start, "width": d.width}
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(op.writes[0]), sizes=tuple(context))]
