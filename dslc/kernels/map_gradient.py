"""dx = dy times the derivative of a formula, for every element."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers import MapDetail
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and those of x and y that the derivative reads."""
    d = detail(op, MapDetail)
    context = {
        "formula": d.formula,
        "elements": setting.elements(op.writes[0]),
        "images": setting.images(op.writes[0]),
        "variables": d.variables,
    }
    arrays = tuple({"x": "in", "y": "out"}[name] for name in d.variables)
    cost = setting.memory_cost(op.writes[0], factor=3)
    return [Variant("plain", ("dout", *arrays, "din"), context, cost, sizes=("elements",))]
