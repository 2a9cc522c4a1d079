"""Adds normal noise by random words that depend on seed, step, stream and position only."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.noise import NoiseDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d, written = detail(op, NoiseDetail), op.writes[0]
    context = {"std": d.std, "stream": d.stream, "elements": written.elements}
    return [Variant("plain", ("in", "out"), context, setting.moving(written, factor=40))]
