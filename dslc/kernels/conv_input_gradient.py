"""dx of a convolution: every pixel gathers from the windows that it lies in."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels.conv_forward import block_context
from dslc.layers.conv import ConvDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, ConvDetail)
    layout = setting.layout(op.reads[1])
    if not layout.width:
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups}
        return [Variant("plain", ("dy", "w", "dx"), context, setting.multiplying(op, 0.1))]
    return [Variant("blocked", ("dy", "w", "dx"), block_context(d, layout), setting.multiplying(op, 0.4))]
