"""The norm of a gradient in a fixed number of chunks. Norms are stored and not their squares, which overflow sooner."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant
from dslc.site import CHUNKS

SIDE_BY_SIDE = 16
"""Sums that grow together, so that none has to wait for itself."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    context = {
        "elements": setting.layout(op.reads[0]).elements, "chunks": CHUNKS, "side_by_side": SIDE_BY_SIDE,
    }  # fmt: skip
    return [Variant("plain", ("gradient", "norms"), context, setting.moving(op.reads[0]))]
