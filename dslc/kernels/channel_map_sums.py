"""The gradient of a factor a channel: sums over mini-batch and pixels of dy times the derivative along the factor."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._rows import LONG, block_context, block_sizes
from dslc.layers._channelwise import ChannelMapDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation
from dslc.scalar import Scalar, variable

TEMPLATE = "kernels/channel_sum{}.c.j2"


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x, in the ways of `channel_sum`: `chunks` for images, and `plain` for vectors."""
    slope = detail(op, ChannelMapDetail).formula
    channels = op.reads[0].shape[-1]
    pixels = op.reads[0].elements // channels
    cost = setting.memory_cost(*op.reads)
    if op.writes[0].shape == (channels,):
        context = {"channels": channels, "pixels": pixels, "long": setting.batch * pixels > LONG,
                   "term": _term(slope, "dy[at]", "x[at]")}  # fmt: skip
        return [Variant("plain", ("dy", "x", "sum"), context, cost, shared_template=TEMPLATE.format(""))]
    context = {**block_context(channels, pixels, setting.lanes), "chunks": CHUNKS, "reads_x": True,
               "term": _term(slope, "dout[i + k]", "in[i + k]")}  # fmt: skip
    sizes, template = block_sizes(channels, setting.lanes), TEMPLATE.format("_chunks")
    return [Variant("chunks", ("dy", "x", "sums"), context, cost, shared_template=template, sizes=sizes)]


def _term(slope: Scalar, dy: str, x: str) -> str:
    return (variable(dy) * slope.of("x", variable(x))).code
