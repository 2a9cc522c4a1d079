"""The gradient of grouped filters, taken from that of filters over all channels."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.widen_filters import context
from dslc.layers.conv import ConvDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A copy of the blocks on the diagonal; the rest belongs to zeros."""
    d, layout = detail(op, ConvDetail), setting.layout(op.reads[0])
    return [
        Variant(
            "plain",
            ("wide", "dw"),
            context(d, layout.width or d.output[2]),
            setting.memory_cost(op.writes[0], factor=4),
        )
    ]
