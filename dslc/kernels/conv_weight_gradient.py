"""dW of a convolution, summed over mini-batch and pixels."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels.conv_forward import block_context
from dslc.layers.conv import ConvDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, ConvDetail)
    layout = setting.layout(op.writes[0])
    if not layout.width:
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups}
        return [Variant("plain", ("x", "dy", "dw"), context, setting.multiplying(op, 0.1))]
    return [Variant("blocked", ("x", "dy", "dw"), block_context(d, layout), setting.multiplying(op, 0.4))]
