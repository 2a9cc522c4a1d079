"""The mean of the ranges that the ranks have of their own examples: all round alike."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A message of two numbers; the cost does not matter."""
    return [Variant("plain", ("own", "ends"), {}, 0.0)]
