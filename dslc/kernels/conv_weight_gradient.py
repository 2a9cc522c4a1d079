"""dW of a convolution, summed over mini-batch and pixels (notes: 'Computing dW')."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

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
from dslc.operation import GRADIENT, Operation


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """Depthwise, plain and lanes exclude the others where they fit; else direct or Winograd, by cost."""
    d = detail(op, ConvDetail)
    if _depthwise.suits(d):
        return {"depthwise": _depthwise.cost(d, setting)}
    if not _direct.fits(d, setting.lanes):
        return {"plain": setting.compute_cost(op, 0.05)}
    if _lanes.suits(d, op.writes[0], setting):
        return {"lanes": _lanes.cost(d, setting)}
    return {"direct": _direct.weight_cost(d, setting), **_winograd.costs(d, setting)}


def steps(op: Operation, setting: Setting) -> tuple[Operation, ...]:
    """Winograd's algorithm takes two: the products of all squares, then the gradient of the filters from their sums."""
    return winograd_weight_products.both(op, setting) if op.choice.startswith("winograd") else (op,)


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """The kernel of the chosen algorithm, except Winograd, whose steps are kernels of their own."""
    d = detail(op, ConvDetail)
    if op.choice == "lanes":
        sums = Scratch("sums", prod(op.writes[0].shape) * setting.lanes)
        context = _lanes.weight_context(d, setting)
        return [Variant("lanes", ("x", "dy", "dw", "sums"), context, _lanes.cost(d, setting), scratch=(sums,))]
    if op.choice == "depthwise":
        blocks = -(-d.output[2] // setting.lanes)
        context = {**_depthwise.weight_context(d, setting), "blocks": blocks}
        return [Variant("depthwise", ("x", "dy", "dw"), context, _depthwise.cost(d, setting), sizes=_depthwise.SIZES)]
    if op.choice == "plain":
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups}
        return [Variant("plain", ("x", "dy", "dw"), context, setting.compute_cost(op, 0.05))]
    context = _direct.weight_context(d, setting)
    cost, products = _direct.weight_cost(d, setting), context["tiles"].products
    return [Variant("direct", ("x", "dy", "dw"), context, cost, products, sizes=_direct.WEIGHT_SIZES)]


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """A zero-padded x if windows cross the edge."""
    if op.choice == "lanes":
        return _lanes.padding(op.reads[0], detail(op, ConvDetail), lanes)
    return _direct.padding(op.reads[0], detail(op, ConvDetail)) if op.choice in ("direct", "depthwise") else ()


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A temporary gradient is stored like packed filters; that of a parameter is stored like the parameter."""
    dw = op.writes[0]
    if dw.role == GRADIENT or op.choice in _direct.PLAIN_FILTERS:
        return {}
    return {dw.name: _direct.filters_layout(dw.shape, lanes)}
