"""Rows rounded to bf16: [rows][numbers] becomes [rows][numbers / 2] pairs of neighbours."""

from __future__ import annotations

from math import prod

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass; the last of an odd number is paired with 0."""
    x = op.reads[0]
    context = {"steps": prod(x.shape[:-1]), "numbers": x.shape[-1]}
    return [Variant("plain", ("x", "rounded"), context, setting.memory_cost(x))]
