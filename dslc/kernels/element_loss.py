"""An elementwise loss, summed for each example, and its gradient; a missing target adds nothing."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses import LossDetail
from dslc.operation import Operation

SIDE_BY_SIDE = 64
"""Numbers that are computed together: elements of several examples, or some elements of one."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over outputs and targets; the gradient is computed with the value if it is needed."""
    d = detail(op, LossDetail)
    elements, gradient = op.reads[0].elements, len(op.writes) > 1
    context = {
        "elements": elements, "gradient": gradient, "value": d.value, "slope": d.slope, "weight": d.weight,
        "rows": SIDE_BY_SIDE // elements, "side_by_side": SIDE_BY_SIDE,
    }  # fmt: skip
    given = ("outputs", "target", "sample_weights")
    names = (*given, "count", "example_loss", "dz") if gradient else (*given, "example_loss")
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=4))]
