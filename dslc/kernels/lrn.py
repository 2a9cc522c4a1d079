"""Divides each number by a power of a sum over the neighbouring channels; in training the sums are stored."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._lrn import block, power
from dslc.layers.lrn import LrnDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Pixel by pixel in blocks of channels: squares, sums over the neighbours, then the power."""
    d = detail(op, LrnDetail)
    kept = len(op.writes) == 2
    context = {"d": d, "block": block(d), "half": d.size // 2, "power": power(d.beta), "kept": kept}
    names = ("x", "y", "sums") if kept else ("x", "y")
    return [Variant("plain", names, context, setting.memory_cost(op.reads[0], factor=4))]
