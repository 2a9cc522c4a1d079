"""Two neighbouring axes change places."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._swapping import SwapDetail
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of runs of numbers that stay together, the result being written in order."""
    d, y = detail(op, SwapDetail), op.writes[0]
    run = d.inner * setting.layout(y).examples
    context = {"d": d, "run": run, "images": setting.images(y)}
    return [Variant("plain", ("x", "y"), context, setting.memory_cost(y, factor=1.0 if run > 1 else 2.0))]
