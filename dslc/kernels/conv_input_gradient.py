"""dx of a convolution (notes: 'Computing dA')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc.kernels import Copy, Setting, Variant, _depthwise, _direct, _lanes, _winograd, detail, epilogue
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Operation

FUSES = True


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """`gather` and Winograd sum all windows that cover a pixel, for stride 1; `scatter` adds each window to its pixels,
    for any stride, and costs half as much again because it reads and writes the sums."""
    d = detail(op, ConvDetail)
    back = rotated(d)
    if _depthwise.suits(d):
        gathers = d.stride == (1, 1) and min(back.before) >= 0
        return {"depthwise" if gathers else "depthwise_scatter": _depthwise.cost(d, setting)}
    if not _direct.fits(d, setting.lanes):
        return {"plain": setting.compute_cost(op, 0.05)}
    if _lanes.suits(d, op.reads[1], setting):
        return {"lanes": _lanes.cost(d, setting)}
    costs = {"scatter": 1.5 * _direct.cost(back, setting)}
    if d.stride == (1, 1) and min(back.before) >= 0:
        costs["gather"] = _direct.cost(back, setting)
        costs |= _winograd.costs(back, setting)
    return costs


def rotated(d: ConvDetail) -> ConvDetail:
    """The convolution that computes dx from dy for stride 1: rotated filters, padding of extent - 1 - before."""
    before = (
        (d.size[0] - 1) * d.dilation[0] - d.before[0],
        (d.size[1] - 1) * d.dilation[1] - d.before[1],
    )
    return replace(d, input=d.output, output=d.input, before=before)


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """The kernel of the chosen algorithm; `known` is read only if the epilogue needs it."""
    d = detail(op, ConvDetail)
    end = epilogue(op)
    names = ("in", "w", "known", "out") if end["kept"] else ("in", "w", "out")
    if op.choice == "lanes":
        context = {**_lanes.back_context(d, setting), **end}
        return [Variant("lanes", names, context, _lanes.cost(d, setting), context["tiles"].products)]
    if op.choice == "depthwise":
        context = {**_depthwise.context(rotated(d), setting), "rotated": True, "bias": False, **end}
        cost = _depthwise.cost(d, setting)
        return [
            Variant(
                "depthwise", names, context, cost, shared_template="kernels/_depthwise.c.j2", sizes=_depthwise.SIZES
            )
        ]
    if op.choice == "depthwise_scatter":
        context = {**_depthwise.scatter_context(d, setting), **end}
        cost = 2 * _depthwise.cost(d, setting)
        return [Variant("depthwise_scatter", names, context, cost, sizes=_depthwise.SIZES)]
    if op.choice == "plain":
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups, **end}
        return [Variant("plain", names, context, setting.compute_cost(op, 0.05))]
    if op.choice == "gather":
        return [_direct.variant("gather", names, rotated(d), setting, {"bias": False, **end})]
    if op.choice.startswith("winograd"):
        known = ("known",) if end["kept"] else ()
        return [
            _winograd.variant(op, rotated(d), setting, ("in", "filters", *known, "out", "squares", "products"), False)
        ]
    context = {**_direct.scatter_context(d, setting), **end}
    return [Variant("scatter", names, context, 1.5 * _direct.cost(rotated(d), setting), context["tiles"].products)]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """As `conv_forward` wants the filters: what rotates them reads blocks."""
    w = op.reads[1]
    return {w.name: Layout(w.shape) if op.choice in _direct.PLAIN_FILTERS else _direct.filters_layout(w.shape, lanes)}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """Rotated filters, transformed for Winograd; `gather` also reads a zero-padded dy if windows cross the edge."""
    d = detail(op, ConvDetail)
    if op.choice in _direct.PLAIN_FILTERS:
        return ()
    if op.choice.startswith("winograd"):
        return (_winograd.filters_copy(op.reads[1], op.choice, lanes, d),)
    filters = _direct.rotated_filters(op.reads[1], d, lanes)
    return (*(_direct.padding(op.reads[0], rotated(d)) if op.choice == "gather" else ()), filters)
