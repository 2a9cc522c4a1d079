"""Scales down the units of a layer whose weights have too large a norm, one vector of units at a time."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.kernels import Setting, Variant, detail
from dslc.layout import Layout
from dslc.lowering.details import ConstraintDetail
from dslc.operation import Operation


@dataclass(frozen=True)
class Bundle:
    """Units whose weights are interleaved. Bundle b starts at b * `apart`; each unit has `weights` weights, `step`
    numbers apart. All bundles have `units` units except the last, which has `last`."""

    count: int
    apart: int
    weights: int
    step: int
    units: int
    last: int


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over each bundle: the squared norms, then the scaling of those above the limit."""
    d = detail(op, ConstraintDetail)
    layout = setting.layout(op.reads[0])
    context = {"bundle": bundle(layout, d.units, setting.lanes), "limit": d.limit}
    return [Variant("plain", ("weights",), context, setting.memory_cost(op.reads[0], factor=2))]


def bundle(layout: Layout, units: int, lanes: int) -> Bundle:
    """How the units, axis `units` of the weights, are stored: in blocks, as plain rows, or as plain columns."""
    count = layout.shape[units]
    weights = layout.elements // count if not layout.width else layout.elements // (layout.blocks * layout.width)
    if layout.width:
        assert layout.axis == units
        return Bundle(layout.blocks, weights * layout.width, weights, layout.width, layout.width, layout.width)
    if units == 0:
        return Bundle(count, weights, weights, 1, 1, 1)
    bundles = -(-count // lanes)
    return Bundle(bundles, lanes, weights, count, lanes, count - (bundles - 1) * lanes)
