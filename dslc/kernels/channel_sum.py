"""The sum over mini-batch and pixels of each channel: the gradient of a bias. Where the sum has the shape of an
example, over the mini-batch alone."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels._rows import LONG, block_context, block_sizes
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy: `lanes` if examples are interleaved, `chunks` of rows of whole vectors for images, and `plain`,
    with threads sharing the channels, for vectors."""
    dy, total = op.reads[0], op.writes[0]
    channels = dy.elements if total.shape == dy.shape else dy.shape[-1]
    pixels = dy.elements // channels
    if setting.layout(dy).examples > 1:
        context = {
            "channels": channels, "pixels": pixels, "images": setting.images(dy), "lanes": setting.lanes,
            "chunks": 1 if total.elements == channels else CHUNKS,
        }  # fmt: skip
        return [Variant("lanes", ("dy", "sums"), context, setting.memory_cost(dy, factor=0.5))]
    if total.elements == channels:
        context = {"channels": channels, "pixels": pixels, "long": setting.batch * pixels > LONG, "term": "dy[at]"}
        return [Variant("plain", ("dy", "sum"), context, setting.memory_cost(dy), sizes=("channels",))]
    context = {
        **block_context(channels, pixels, setting.lanes), "chunks": CHUNKS,
        "term": "dout[i + k]", "reads_x": False,
    }  # fmt: skip
    cost = setting.memory_cost(dy, factor=0.5)
    return [Variant("chunks", ("dy", "sums"), context, cost, sizes=block_sizes(channels, setting.lanes))]
