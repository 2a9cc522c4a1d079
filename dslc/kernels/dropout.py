"""Drops elements by random words that depend on seed, step, stream and position only."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers.dropout import DropoutDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, DropoutDetail)
    context = {"threshold": d.threshold, "scale": d.scale, "stream": d.stream, "elements": op.writes[0].elements}
    return [Variant("plain", ("x", "y"), context, setting.moving(op.writes[0], factor=8))]
