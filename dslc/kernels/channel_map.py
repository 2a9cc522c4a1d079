"""A formula in every number x and the factor w of its channel."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._epilogue import fused_epilogue
from dslc.kernels._rows import rows_of
from dslc.layers._channelwise import ChannelMapDetail
from dslc.lowering.site import MAX_CHANNELS
from dslc.operation import Operation
from dslc.scalar import Scalar, variable

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass in rows of whole vectors, for which the factors are laid out once; `plain`, at twice the cost, for more
    than MAX_CHANNELS channels."""
    reads, end = fused_epilogue(op, "in", "weight")
    value = detail(op, ChannelMapDetail).formula
    return row_variants(op, setting, (*reads, "out"), {"value": value}, end)


def row_variants(
    op: Operation, setting: Setting, names: tuple[str, ...], formulas: dict[str, Scalar], more: dict[str, object]
) -> list[Variant]:
    """The same for all operations on every number with its channel's factor: `formulas` in x and w for the template,
    with x and w as elements of the arrays."""
    channels = op.writes[0].shape[-1]
    pixels = op.writes[0].elements // channels
    if channels > MAX_CHANNELS:
        known = _in_arrays(formulas, "in[at]", "weight[c]")
        context = {"channels": channels, "pixels": pixels, **known, **more}
        return [Variant("plain", names, context, setting.memory_cost(op.writes[0], factor=2))]
    known = _in_arrays(formulas, "in[start + k]", "factor[k]")
    context = {"rows": rows_of(channels, setting.lanes, 512), "pixels": pixels, **known, **more}
    return [Variant("rows", names, context, setting.memory_cost(op.writes[0]))]


def _in_arrays(formulas: dict[str, Scalar], x: str, w: str) -> dict[str, Scalar]:
    return {name: formula.of("x", variable(x)).of("w", variable(w)) for name, formula in formulas.items()}
