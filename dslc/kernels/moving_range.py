"""range = keep * range + (1 - keep) * the range of a mini-batch; that of the first where there is none."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.layers._fake_quantize import RangeDetail
from dslc.lowering.details import CHUNKS
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A pass over the chunks of the mini-batch, by one thread."""
    keep = detail(op, RangeDetail).keep
    context = {"chunks": CHUNKS, "keep": keep, "rest": 1 - keep}
    return [Variant("plain", ("chunks", "known", "ends"), context, 0.0)]
