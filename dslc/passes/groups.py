"""Turns a grouped convolution whose groups do not fill vectors into an ordinary one, with zeros for the other weights.

Multiplying by zeros costs less than computing groups narrower than a vector; the gradient of the zeros is dropped.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from dslc.graph import Graph, Phase, Step
from dslc.kernels import _depthwise, _direct
from dslc.layers.conv import ConvDetail
from dslc.operation import ACTIVATION, Operation, Tensor

MAX_GROUPS = 16
"""Up to this many groups, and so this many times the work, the ordinary convolution is cheaper than narrow groups."""


def widen_groups(graph: Graph, lanes: int) -> Graph:
    """Widens the convolutions whose groups do not fit vectors of `lanes` numbers."""
    return graph.map(lambda step: _widen(step, lanes))


def _widen(step: Step, lanes: int) -> Step:
    widened: dict[Tensor, Tensor] = {}

    def in_phase(phase: Phase) -> Phase:
        return replace(phase, operations=tuple(w for op in phase.operations for w in _wide(op, lanes, widened)))

    return replace(step, phases=tuple(in_phase(phase) for phase in step.phases))


def _wide(op: Operation, lanes: int, widened: dict[Tensor, Tensor]) -> tuple[Operation, ...]:
    d = op.detail
    if not isinstance(d, ConvDetail) or _direct.fits(d, lanes) or _depthwise.suits(d) or d.groups > MAX_GROUPS:
        return (op,)
    wide = replace(op, detail=replace(d, groups=1), multiply_adds=op.multiply_adds * d.groups)
    if op.kind == "conv_weight_gradient":
        gradient = op.writes[0]
        whole = _whole(gradient, d, "wide")
        extract = replace(op, kind="narrow_filters", name=f"{gradient.name}_narrow", reads=(whole,), multiply_adds=0)
        return replace(wide, writes=(whole,)), extract
    x, w, *others = op.reads
    made: tuple[Operation, ...] = ()
    if w not in widened:
        widened[w] = _whole(w, d, "wide")
        made = (
            replace(op, kind="widen_filters", name=widened[w].name, reads=(w,), writes=(widened[w],), multiply_adds=0),
        )
    return (*made, replace(wide, reads=(x, widened[w], *others)))


def _whole(w: Tensor, d: ConvDetail, suffix: str) -> Tensor:
    """The tensor of the filters over all channels: (f_h, f_w, channels, filters)."""
    assert prod(w.shape[-2:]) * d.groups == d.input[2] * d.output[2]
    return replace(w, name=f"{w.name}_{suffix}", shape=(*d.size, d.input[2], d.output[2]), role=ACTIVATION)
