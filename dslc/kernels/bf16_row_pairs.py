"""Pairs of rows rounded to bf16: [rows][numbers] becomes [rows / 2][numbers] pairs, of a number and the one below, in
spread rows."""

from __future__ import annotations

from math import prod

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; the last of an odd number of rows is paired with zeros."""
    x = op.reads[0]
    context = {"steps": prod(x.shape[:-1]), "numbers": x.shape[-1], "row": op.writes[0].shape[-1]}
    return [Variant("plain", ("x", "rounded"), context, setting.memory_cost(x), sizes=("numbers", "row"))]
