"""Soft labels: a probability for each class in the place of a class number."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Head
from dslc.language.diagnostics import DataError, ExampleError

Array = np.ndarray[Any, Any]
OFF = 1e-4
"""How far the sum of a row may be from 1."""


def as_probabilities(head: Head, array: Array) -> Array:
    """Targets as probabilities (n, classes): as they are given, or one-hot rows of class numbers (n,).

    Raises:
        DataError: they have another shape; a row has a number below 0 or does not add up to 1.
    """
    classes = head.value.shape[-1]
    if array.ndim == 1 or array.shape[1:] == (1,):
        numbers = array.reshape(-1)
        fits = (numbers >= 0) & (numbers < classes) & (numbers == np.floor(numbers))
        if not fits.all():
            bad = int(np.argmin(fits))
            found = f"has the class {numbers[bad]:g}; classes go from 0 to {classes - 1}"
            raise ExampleError(f"target {head.name}: {{}} {found}", bad)
        return np.eye(classes)[numbers.astype(np.int64)]
    if array.shape[1:] != (classes,):
        expected = f"(n, {classes}) with probabilities or (n,) with class numbers"
        raise DataError(f"target {head.name}: expected the shape {expected}, found {array.shape}")
    rows = array.astype(np.float64)
    _refuse(head, ~np.isfinite(rows), rows, "a number that is not finite")
    _refuse(head, rows < 0, rows, "a probability below 0")
    sums = rows.sum(axis=1)
    off = np.abs(sums - 1) > OFF
    if off.any():
        bad = int(np.argmax(off))
        raise ExampleError(f"target {head.name}: the probabilities of {{}} add up to {sums[bad]:.6g}, not to 1", bad)
    return array


def _refuse(head: Head, bad: Array, rows: Array, what: str) -> None:
    if bad.any():
        first = int(np.argwhere(bad)[0][0])
        found = ", ".join(f"{p:g}" for p in rows[first][:8])
        raise ExampleError(f"target {head.name}: {{}} has {what}: {found}", first)


def likeliest(target: Array) -> Array:
    """Class numbers (n,) of targets that are some, or the likeliest class of soft labels (n, classes)."""
    return target if target.ndim == 1 else target.argmax(axis=1)
