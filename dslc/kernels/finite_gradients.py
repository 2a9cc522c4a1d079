"""Whether all gradients, and the squares that optimizers keep of them, are finite; if not, the loss becomes NaN, and
nothing is updated."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.lowering.details import CHUNKS
from dslc.numerics import np
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A few operations on the norms of the parameters; the cost does not matter."""
    norms = [f"norms{i}" for i in range(1, len(op.reads) + 1)]
    largest = float(np.finfo(np.float32 if setting.itemsize == 4 else np.float64).max)
    return [Variant("plain", (*norms, "loss"), {"norms": norms, "chunks": CHUNKS, "largest": largest}, 0.0)]
