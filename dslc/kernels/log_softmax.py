"""Logarithms of probabilities over the last axis."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.kernels.softmax import in_rows_or_columns
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """As `softmax`: maximum, the sum of exponentials, and its logarithm subtracted."""
    return in_rows_or_columns(op, setting)
