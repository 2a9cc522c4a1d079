"""A formula applied to every element."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers import MapDetail
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over all elements, in any layout that input and output share."""
    context = {
        "formula": detail(op, MapDetail).formula,
        "elements": setting.elements(op.writes[0]),
        "images": setting.images(op.writes[0]),
    }
    cost = setting.memory_cost(op.writes[0], factor=4)
    return [Variant("plain", ("in", "out"), context, cost, sizes=("elements",), overwritable=("in",))]
