"""Numbers that say how good predictions are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dslc.ir import Head
from dslc.objective import SCORES

Array = np.ndarray[Any, Any]
ERRORS = ("mae", "mse", "rmse")


def head_metrics(head: Head, output: Array, target: Array, wanted: Sequence[str] = ()) -> dict[str, float]:
    """The metrics that the head's loss suggests and those wanted that fit it; missing targets do not count.

    output: (n, *head's shape). target: class numbers (n,), else as the output.
    """
    if head.loss is None:
        return {}
    judges = "accuracy" in head.loss.metrics
    names = list(dict.fromkeys([*head.loss.metrics, *wanted]))
    if not judges:
        return {name: _error(name, output, target) for name in names if name in ERRORS}
    if not head.loss.classes:
        names = [name for name in names if name in SCORES]
        return {name: _yes_or_no(name, output, target, head.loss.threshold) for name in names}
    return {name: _ranked(name, output, target) for name in names if name in SCORES or _ranks(name)}


def mean_losses(sums: Sequence[float]) -> list[float]:
    """Each head's loss from pairs of a sum and the number of labels that are there; NaN where there is none."""
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return [total / labels if labels else math.nan for total, labels in pairs]


def _ranks(name: str) -> bool:
    return name.startswith("top")


def _error(name: str, output: Array, target: Array) -> float:
    """mae, mse or rmse over the targets that are there."""
    there = ~np.isnan(target)
    error = (output - target)[there].astype(np.float64)
    if not error.size:
        return float("nan")
    if name == "mae":
        return float(np.abs(error).mean())
    square = float((error**2).mean())
    return math.sqrt(square) if name == "rmse" else square


def _yes_or_no(name: str, output: Array, target: Array, threshold: float) -> float:
    """A metric of yes-or-no outputs, all of them together: 'yes' from the threshold on."""
    matrix = confusion_yes_or_no(output, target, threshold)
    if not matrix.any():
        return float("nan")
    return accuracy(matrix) if name == "accuracy" else float(class_scores(name, matrix)[1])


def _ranked(name: str, output: Array, target: Array) -> float:
    """A metric of a softmax's outputs: precision, recall and F1 as macro averages over the classes that occur."""
    if _ranks(name):
        return top_k(output, target, int(name.removeprefix("top")))
    matrix = confusion(output, target)
    if name == "accuracy":
        return accuracy(matrix)
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(class_scores(name, matrix)[occurs].mean())


def top_k(output: Array, target: Array, k: int) -> float:
    """The share of examples whose true class is among the k likeliest; ties go to the lower class number."""
    likeliest = np.argsort(-output, axis=-1, kind="stable")[:, :k]
    return float((likeliest == target[:, None]).any(axis=1).mean())


def accuracy(matrix: Array) -> float:
    """The share on the diagonal of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


def class_scores(name: str, matrix: Array) -> Array:
    """precision, recall or f1 of each class from a confusion matrix (classes, classes); 0 where it is 0 / 0.

    F1 = 2 tp / (2 tp + fp + fn), the harmonic mean of precision tp / (tp + fp) and recall tp / (tp + fn).
    """
    hits, predicted, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    over = {"precision": predicted, "recall": true, "f1": (predicted + true) / 2}[name]
    scores: Array = np.divide(hits, over, out=np.zeros(len(matrix)), where=over > 0)
    return scores


def confusion(output: Array, target: Array) -> Array:
    """Counts (classes, classes): rows are the true classes, columns the predicted ones."""
    return confusion_of(output.argmax(axis=-1), target, output.shape[-1])


def confusion_yes_or_no(output: Array, target: Array, threshold: float) -> Array:
    """The same (2, 2) of yes-or-no outputs, all together, where there is a target: 'yes' is 1."""
    there = ~np.isnan(target)
    return confusion_of((output >= threshold)[there].astype(int), (target >= 0.5)[there].astype(int), 2)


def head_confusion(head: Head, output: Array, target: Array) -> Array | None:
    """The matrix of a head; None where it does not judge classes."""
    if head.loss is None or "accuracy" not in head.loss.metrics:
        return None
    if head.loss.classes:
        return confusion(output, target)
    return confusion_yes_or_no(output, target, head.loss.threshold)


def confusion_of(predicted: Array, target: Array, classes: int) -> Array:
    """The same from class numbers."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (target, predicted), 1)
    return counts
