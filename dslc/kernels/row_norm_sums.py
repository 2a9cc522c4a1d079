"""The gradient of rmsnorm's weights: for each channel the sum over all rows of dy * x * factor."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._rows import LONG
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x; threads share the channels."""
    features = op.writes[0].elements
    rows = op.reads[0].elements // features
    context = {"features": features, "rows": rows, "long": setting.batch * rows > LONG}
    return [Variant("plain", ("dy", "x", "factors", "sum"), context, setting.memory_cost(*op.reads[:2]))]
