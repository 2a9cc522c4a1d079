"""Waits until the sums over ranks are there that `begin_sum` has begun."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A call by the first thread, which needs no array."""
    return [Variant("plain", ("",) * len(op.reads), {}, 0.0)]
