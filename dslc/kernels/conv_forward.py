"""y = x * W + b, a convolution with an optional epilogue."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Setting, Variant, _bands, _depthwise, _direct, _lanes, _winograd, detail, epilogue
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import Operation

FUSES = True


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """Depthwise, plain and lanes exclude the others where they fit; else direct, in bands or Winograd, by cost."""
    d = detail(op, ConvDetail)
    if _depthwise.suits(d):
        return {"depthwise": _depthwise.cost(d, setting)}
    if not _direct.fits(d, setting.lanes):
        return {"plain": setting.compute_cost(op, 0.05)}
    if _lanes.suits(d, op.reads[1], setting):
        return {"lanes": _lanes.cost(d, setting)}
    bands = {"bands": _bands.cost(d, setting)} if _bands.suits(d) else {}
    return {"direct": _direct.cost(d, setting), **_winograd.costs(d, setting), **bands}


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """The kernel of the chosen algorithm; `known` is read only if the epilogue needs it."""
    d = detail(op, ConvDetail)
    end = epilogue(op)
    bias = len(op.reads) > 2 + bool(end["kept"])
    ends = (*(("b",) if bias else ()), *(("known",) if end["kept"] else ()), "out")
    names = ("in", "w", *ends)
    if op.choice == "lanes":
        context = {**_lanes.context(d, setting), "bias": bias, **end}
        return [Variant("lanes", names, context, _lanes.cost(d, setting), context["tiles"].products)]
    if op.choice == "depthwise":
        context = {**_depthwise.context(d, setting), "rotated": False, "bias": bias, **end}
        cost = _depthwise.cost(d, setting)
        return [
            Variant(
                "depthwise", names, context, cost, shared_template="kernels/_depthwise.c.j2", sizes=_depthwise.SIZES
            )
        ]
    if op.choice == "plain":
        context = {"d": d, "channels": d.input[2] // d.groups, "filters": d.output[2] // d.groups, "bias": bias}
        return [Variant("plain", names, {**context, **end}, setting.compute_cost(op, 0.05))]
    if op.choice.startswith("winograd"):
        return [_winograd.variant(op, d, setting, ("in", "filters", *ends, "squares", "products"), bias)]
    if op.choice == "bands":
        return [_bands.variant((*names, "bands"), d, setting, {"bias": bias, **end})]
    return [_direct.variant("direct", names, d, setting, {"bias": bias, **end})]


def pools(op: Operation) -> bool:
    """Winograd with an even m: windows of 2x2 pixels do not cross the edges of its squares."""
    return op.choice.startswith("winograd") and _winograd.sizes(op.choice)[0] % 2 == 0


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """Winograd reads transformed filters; direct and lanes read a zero-padded image if windows cross the edge."""
    if op.choice.startswith("winograd"):
        return (_winograd.filters_copy(op.reads[1], op.choice, lanes),)
    if op.choice == "lanes":
        return _lanes.padding(op.reads[0], detail(op, ConvDetail), lanes)
    return _direct.padding(op.reads[0], detail(op, ConvDetail)) if op.choice == "direct" else ()


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Filters in blocks of one vector, [filters / lanes][rows][columns][channels][lanes], except for algorithms that
    read them in the language's order."""
    w = op.reads[1]
    return {w.name: Layout(w.shape) if op.choice in _direct.PLAIN_FILTERS else _direct.filters_layout(w.shape, lanes)}
