"""Rounds the weights of every unit to whole multiples of its largest absolute value / 127."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.kernels.max_norm import bundle
from dslc.layers._fake_quantize import SMALLEST, WEIGHT_LEVELS
from dslc.lowering.details import UnitsDetail
from dslc.operation import Operation, Tensor


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two passes over each bundle of units: the largest value, then the rounding."""
    units = bundle(setting.layout(op.reads[0]), detail(op, UnitsDetail).units, setting.lanes)
    context = {"bundle": units, "levels": WEIGHT_LEVELS, "smallest": SMALLEST}
    return [Variant("plain", ("weights", "rounded"), context, setting.memory_cost(op.reads[0], factor=3))]


def same_layout(op: Operation) -> tuple[Tensor, ...]:
    """The weights before and after."""
    return op.reads[0], op.writes[0]
