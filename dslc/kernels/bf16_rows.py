"""Rows rounded to bf16: [rows][numbers] becomes [rows][numbers / 2] pairs of neighbours, in spread rows."""

from __future__ import annotations

from math import prod

from dslc.kernels import Setting, Variant
from dslc.kernels.product import LINE, spread
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; the last of an odd number is paired with 0."""
    x = op.reads[0]
    context = {"steps": prod(x.shape[:-1]), "numbers": x.shape[-1], "row": op.writes[0].shape[-1]}
    return [Variant("plain", ("x", "rounded"), context, setting.memory_cost(x))]


def row_of(pairs: int) -> int:
    """From one row of so many pairs to the next: a register tile reads many rows at the same place, which would all be
    in the same few sets of the cache where a row is a multiple of a large power of two."""
    return spread(pairs) if pairs > LINE else pairs
