"""dx = dy times the derivative of a formula in x and the factor w of its channel."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.channel_map import row_variants
from dslc.layers._channelwise import ChannelMapDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over dy and x, in the rows of `channel_map`."""
    slope = detail(op, ChannelMapDetail).formula
    return row_variants(op, setting, ("dout", "in", "weight", "din"), {"slope": slope}, {})
