"""dx = dy / s^beta - 2 alpha beta x * (sum over the neighbouring channels of dy * x / s^(beta + 1))."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._lrn import block, power
from dslc.layers.lrn import LrnDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """As in the forward pass, with one more array."""
    d = detail(op, LrnDetail)
    context = {
        "d": d, "block": block(d), "half": d.size // 2, "power": power(d.beta), "factor": 2 * d.alpha * d.beta,
    }  # fmt: skip
    return [Variant("plain", ("dy", "x", "sums", "dx"), context, setting.memory_cost(op.reads[0], factor=6))]
