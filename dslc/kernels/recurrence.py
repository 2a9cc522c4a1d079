"""The steps of a recurrent layer, one after another: the state after each from its weighted sums of the input, which
are there for all steps, and from the product of the state before with the hidden weights."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Scratch, Setting, Variant, _direct, detail
from dslc.kernels._recurrence import product_context
from dslc.layers._recurrent import RecurrenceDetail
from dslc.layout import Layout
from dslc.operation import Operation

CELL_COST = 2.5
"""Elements of memory traffic that the functions of a cell cost about as much as, for each of its sums."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples, which never meet: a thread walks its own through all steps without a barrier. For
    training the gates and the states before each step are kept."""
    d = detail(op, RecurrenceDetail)
    kept = ("gates", "previous", "cells")[: len(op.writes) - 1]
    bias = len(op.reads) > 2 + d.masked
    product, products = product_context(d.sums, d.units, d.units, setting)
    lengths = ("lengths",) if d.masked else ()
    names = ("in", "w", *(("b",) if bias else ()), *lengths, "y", *kept, "own", "hidden")
    scratch = [Scratch("own", setting.batch * d.sums), Scratch("hidden", setting.batch * d.units)]
    if d.cell == "lstm":
        names, scratch = (*names, "cell"), [*scratch, Scratch("cell", setting.batch * d.units)]
    context = {"d": d, "bias": bias, "keeps": bool(kept), **product}
    cost = setting.compute_cost(op, 0.7) + setting.memory_cost(op.reads[0], factor=CELL_COST)
    return [Variant("plain", names, context, cost, products, scratch=tuple(scratch))]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """The hidden weights in blocks of a vector of units, as those of the inputs."""
    w = op.reads[1]
    return {w.name: _direct.filters_layout(w.shape, lanes)}
