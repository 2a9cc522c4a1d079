"""The way back through the steps of a recurrent layer: the gradients of the weighted sums of each, from which those of
all weights, biases and inputs follow as ordinary products."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Scratch, Setting, Variant, _direct, detail
from dslc.kernels._recurrence import product_context
from dslc.kernels.recurrence import CELL_COST
from dslc.layers._recurrent import RecurrenceDetail
from dslc.layout import Layout
from dslc.operation import Operation, Tensor

READS = {"lstm": ("gates", "cells"), "gru": ("gates", "previous")}


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples as on the way forward. `dh` and `dc` are the gradients of the state; those of a GRU's
    sums of the state differ from those of its input."""
    d = detail(op, RecurrenceDetail)
    product, products = product_context(d.units, d.steps * d.sums, d.sums, setting)
    lengths = ("lengths",) if d.masked else ()
    results = ("din", "down") if len(op.writes) > 1 else ("din",)
    names = ("dy", *READS.get(d.cell, ("gates",)), "w", *lengths, *results, "dh")
    scratch = [Scratch("dh", setting.batch * d.units)]
    if d.cell == "lstm":
        names, scratch = (*names, "dc"), [*scratch, Scratch("dc", setting.batch * d.units)]
    cost = setting.compute_cost(op, 0.7) + setting.memory_cost(op.writes[0], factor=CELL_COST)
    context = {"d": d, "slopes": results[-1], **product}
    return [Variant("plain", names, context, cost, products, scratch=tuple(scratch))]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """The hidden weights as `recurrence` has them: what turns them reads blocks."""
    w = weight_of(op)
    return {w.name: _direct.filters_layout(w.shape, lanes)}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """The hidden weights turned: in blocks of a vector of the state before."""
    return (_direct.rotated_filters(weight_of(op), detail(op, RecurrenceDetail).product, lanes),)


def weight_of(op: Operation) -> Tensor:
    """The hidden weights among what the operation reads."""
    return op.reads[1 + len(READS.get(detail(op, RecurrenceDetail).cell, ("gates",)))]
