"""Targets that are rows of class numbers of different lengths, as ctc takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Head, Network
from dslc.language.diagnostics import DataError, ExampleError
from dslc.losses.ctc import Ctc, needed_steps, steps_of

Array = np.ndarray[Any, Any]
NO_LABEL = -1
"""Stands behind the end of a row."""


def as_label_sequences(head: Head, array: Array) -> Array:
    """Rows (n, labels) of class numbers, with NaN behind the end of each; narrower ones are filled up.

    Raises:
        DataError: the shape is another, or a row holds something that is no class, the blank, or labels behind its end.
    """
    loss = head.loss
    assert isinstance(loss, Ctc)
    if array.ndim != 2 or array.shape[1] > loss.labels:
        expected = f"(n, {loss.labels}), a row of class numbers with {NO_LABEL} behind its end"
        raise DataError(f"target {head.name}: expected the shape {expected}, found {array.shape}")
    rows = np.full((len(array), loss.labels), np.nan)
    rows[:, : array.shape[1]] = np.where(array == NO_LABEL, np.nan, array)
    there, classes = ~np.isnan(rows), head.value.shape[-1]
    bad = there & ((rows < 0) | (rows >= classes) | (rows != np.floor(rows)) | (rows == loss.blank))
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        wanted = f"labels go from 0 to {classes - 1} without the blank, {loss.blank}; {NO_LABEL} is behind the end"
        raise ExampleError(f"target {head.name}: {{}} has the label {rows[place]:g}; {wanted}", place[0])
    gap = there[:, 1:] & ~there[:, :-1]
    if gap.any():
        raise ExampleError(f"target {head.name}: {{}} has labels behind its end", np.argwhere(gap)[0][0])
    return rows


def require_alignments(network: Network, inputs: list[Array], targets: list[Array]) -> None:
    """Raises DataError where an example has fewer steps than its labels need: no alignment says them, so that the loss
    would be infinite."""
    for head, rows in zip(network.heads, targets, strict=False):
        if not isinstance(head.loss, Ctc):
            continue
        value = network.lengths_of(head)
        most = steps_of(head.value.shape)
        for i, row in enumerate(rows):
            labels = row[~np.isnan(row)]
            steps = most if value is None else int(inputs[network.inputs.index(value)][i, 0])
            if steps < needed_steps(labels):
                said = f"{len(labels)} labels, which need {needed_steps(labels)} steps, and has {steps}"
                raise ExampleError(f"target {head.name}: {{}} has {said}", i)
