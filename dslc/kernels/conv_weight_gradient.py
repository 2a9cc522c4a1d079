"""dW of a convolution, summed over mini-batch and pixels."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from dslc.graph import GRADIENT, Operation
from dslc.kernels import (
    Copy,
    Scratch,
    Setting,
    Variant,
    _depthwise,
    _direct,
    _lanes,
    _winograd,
    detail,
    winograd_weight_products,
)
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    d = detail(op, ConvDetail)
    if _depthwise.suits(d):
        return {"depthwise": _depthwise.cost(d, setting)}
    if not _direct.fits(d, setting.lanes):
        return {"plain": setting.multiplying(op, 0.05)}
    if _lanes.suits(d, setting):
        return {"lanes": _lanes.cost(d, setting)}
    return {"direct": _direct.weight_cost(d, setting), **_winograd.costs(d, setting)}


def steps(op: Operation, setting: Setting) -> tuple[Operation, ...]:
    """Winograd's algorithm needs two: products of all squares, then what they are of the filters."""
    return winograd_weight_products.both(op, setting) if op.choice.startswith("winograd") else (op,)


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, ConvDetail)
    if op.choice == "lanes":
        sums = Scratch("sums", prod(op.writes[0].shape) * setting.lanes)
        context = _lanes.weight_context(d, setting)
        return [Variant("lanes", ("x", "dy", "dw", "sums"), context, _lanes.cost(d, setting), scratch=(sums,))]
    if op.choice == "depthwise":
        blocks = -(-d.output[2] // setting.lanes)
        context = {**_depthwise.weight_context(d, setting), "blocks": blocks}
        return [Variant("depthwise", ("x", "dy", "dw"), context, _depthwise.cost(d, setting))]
    if op.choice == "plain":
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups}
        return [Variant("plain", ("x", "dy", "dw"), context, setting.multiplying(op, 0.05))]
    context = _direct.weight_context(d, setting)
    return [Variant("direct", ("x", "dy", "dw"), context, _direct.weight_cost(d, setting), context["tiles"].products)]


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    if op.choice == "lanes":
        return _lanes.padding(op.reads[0], detail(op, ConvDetail), lanes)
    return _direct.padding(op.reads[0], detail(op, ConvDetail)) if op.choice in ("direct", "depthwise") else ()


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A gradient of its own kind lies as the filters do; that of a parameter lies as the parameter."""
    dw = op.writes[0]
    if dw.role == GRADIENT or op.choice in _direct.PLAIN_FILTERS:
        return {}
    return {dw.name: _direct.filters_layout(dw.shape, lanes)}
