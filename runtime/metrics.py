"""Numbers that say how good predictions are."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Head

Array = np.ndarray[Any, Any]


def head_metrics(head: Head, output: Array, target: Array) -> dict[str, float]:
    """The metrics that the head's loss suggests; missing targets do not count."""
    if head.loss is None or "accuracy" not in head.loss.metrics:
        return {}
    if head.loss.classes:
        return {"accuracy": float((output.argmax(axis=-1) == target).mean())}
    there = ~np.isnan(target)
    return {"accuracy": float(((output >= 0.5) == (target >= 0.5))[there].mean()) if there.any() else float("nan")}


def confusion(output: Array, target: Array) -> Array:
    """Rows are the true classes, columns the predicted ones."""
    classes = output.shape[-1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (target, output.argmax(axis=-1)), 1)
    return counts
