"""running = momentum * running + (1 - momentum) * batch; the variance perhaps times m / (m - 1)."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers.batchnorm import BatchNormDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Over the channels, once in a step, after the step is accepted."""
    d = detail(op, BatchNormDetail)
    context = {
        "channels": d.channels, "momentum": d.momentum, "rest": 1 - d.momentum, "pixels": d.pixels,
        "unbiased": d.unbiased, "examples": "all_examples" if d.over_ranks else "n",
    }  # fmt: skip
    names, cost = ("batch_mean", "batch_var", "mean", "var"), setting.memory_cost(op.reads[0])
    return [Variant("plain", names, context, cost, sizes=("channels", "pixels"))]
