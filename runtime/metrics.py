"""Metrics of predictions: accuracy, precision, recall, F1, top-k, confusion matrices, and errors of real numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dslc.ir import Head
from dslc.objective import SCORES
from dslc.runtime.data.soft_labels import likeliest

Array = np.ndarray[Any, Any]
ERRORS = ("mae", "mse", "rmse")


def head_metrics(
    head: Head, output: Array, target: Array, wanted: Sequence[str] = (), weights: Array | None = None
) -> dict[str, float]:
    """The metrics of a head by name: those of its loss, and those in `wanted` that suit it. Missing targets do not
    count; a metric without any target is NaN.

    output: (n, *shape of the head). target: class numbers (n,), those of pixels (n, height, width), or the shape of the
    output; of soft labels the likeliest class counts. weights: what each example counts (n,), as if it were there so
    many times; once where None.
    """
    if head.loss is None:
        return {}
    judges = "accuracy" in head.loss.metrics
    names = list(dict.fromkeys([*head.loss.metrics, *wanted]))
    if head.loss.sequences:
        return {}
    if not judges:
        return {name: _error(name, output, target, weights) for name in names if name in ERRORS}
    if head.loss.pixels:
        output, target, weights = _pixels(output, target, weights)
        if not len(target) or (weights is not None and not weights.any()):
            return {name: math.nan for name in names if name in SCORES}
    elif not head.loss.classes:
        names = [name for name in names if name in SCORES]
        return {name: _binary_metric(name, output, target, head.loss.threshold, weights) for name in names}
    target = likeliest(target)
    return {name: _ranked(name, output, target, weights) for name in names if name in SCORES or _ranks(name)}


def mean_losses(sums: Sequence[float]) -> list[float]:
    """Each head's loss from pairs of a sum and the number of labels that are there; NaN where there is none."""
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return [total / labels if labels else math.nan for total, labels in pairs]


def _ranks(name: str) -> bool:
    return name.startswith("top")


def _error(name: str, output: Array, target: Array, weights: Array | None) -> float:
    """mae, mse or rmse over the targets that are not missing."""
    there = ~np.isnan(target)
    error = (output - target)[there].astype(np.float64)
    each = None if weights is None else _of_elements(weights, target)[there]
    if not error.size or (each is not None and not each.any()):
        return float("nan")
    if name == "mae":
        return float(np.average(np.abs(error), weights=each))
    square = float(np.average(error**2, weights=each))
    return math.sqrt(square) if name == "rmse" else square


def _pixels(output: Array, target: Array, weights: Array | None) -> tuple[Array, Array, Array | None]:
    """Outputs (pixels, classes), class numbers (pixels,) and weights of the pixels that have a label."""
    there = ~np.isnan(target)
    each = None if weights is None else _of_elements(weights, target)[there]
    return output[there], target[there].astype(int), each


def _of_elements(weights: Array, target: Array) -> Array:
    """The weight of every element of targets (n, ...), in double precision."""
    return np.broadcast_to(weights.reshape(-1, *[1] * (target.ndim - 1)), target.shape).astype(np.float64)


def _binary_metric(name: str, output: Array, target: Array, threshold: float, weights: Array | None) -> float:
    """A metric of yes-or-no outputs, taken all together: an output is 'yes' if it is at least the threshold."""
    matrix = binary_confusion(output, target, threshold, weights)
    if not matrix.any():
        return float("nan")
    return accuracy(matrix) if name == "accuracy" else float(class_scores(name, matrix)[1])


def _ranked(name: str, output: Array, target: Array, weights: Array | None) -> float:
    """A metric of outputs by class: precision, recall and F1 are macro averages over the classes that occur."""
    if _ranks(name):
        return top_k(output, target, int(name.removeprefix("top")), weights)
    matrix = confusion(output, target, weights)
    if name == "accuracy":
        return accuracy(matrix)
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(class_scores(name, matrix)[occurs].mean())


def top_k(output: Array, target: Array, k: int, weights: Array | None = None) -> float:
    """The share of examples whose true class is among the k most likely; ties go to the lower class number.

    output: (n, classes). target: class numbers (n,). weights: what each example counts (n,).
    """
    likeliest = np.argsort(-output, axis=-1, kind="stable")[:, :k]
    return float(np.average((likeliest == target[:, None]).any(axis=1), weights=weights))


def accuracy(matrix: Array) -> float:
    """The share of the counts on the diagonal of a confusion matrix (classes, classes)."""
    return float(np.trace(matrix) / matrix.sum())


def class_scores(name: str, matrix: Array) -> Array:
    """`precision`, `recall`, `f1` or `iou` of each class (classes,) from a confusion matrix (classes, classes); 0 for
    0 / 0.

    precision = tp / (tp + fp), recall = tp / (tp + fn), and F1 = 2 tp / (2 tp + fp + fn) is their harmonic mean; IoU =
    tp / (tp + fp + fn), intersection over union.
    """
    hits, predicted, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    either = predicted + true
    over = {"precision": predicted, "recall": true, "f1": either / 2, "iou": either - hits}[name]
    scores: Array = np.divide(hits, over, out=np.zeros(len(matrix)), where=over > 0)
    return scores


def confusion(output: Array, target: Array, weights: Array | None = None) -> Array:
    """The confusion matrix (classes, classes) of outputs (n, classes) and class numbers (n,): rows are the true
    classes, columns the predicted ones. weights: what each example counts (n,)."""
    return confusion_of(output.argmax(axis=-1), target, output.shape[-1], weights)


def binary_confusion(output: Array, target: Array, threshold: float, weights: Array | None = None) -> Array:
    """The confusion matrix (2, 2) of all yes-or-no outputs that have a target; 'no' is class 0 and 'yes' class 1."""
    there = ~np.isnan(target)
    each = None if weights is None else _of_elements(weights, target)[there]
    return confusion_of((output >= threshold)[there].astype(int), (target >= 0.5)[there].astype(int), 2, each)


def head_confusion(head: Head, output: Array, target: Array, weights: Array | None = None) -> Array | None:
    """The confusion matrix of a head; None if it does not predict classes."""
    if head.loss is None or "accuracy" not in head.loss.metrics:
        return None
    if head.loss.pixels:
        return confusion(*_pixels(output, target, weights))
    if head.loss.classes:
        return confusion(output, likeliest(target), weights)
    return binary_confusion(output, target, head.loss.threshold, weights)


def confusion_of(predicted: Array, target: Array, classes: int, weights: Array | None = None) -> Array:
    """The confusion matrix (classes, classes) of predicted and true class numbers: rows are the true classes. It counts
    examples, or adds up what they weigh."""
    counts = np.zeros((classes, classes), np.int64 if weights is None else np.float64)
    np.add.at(counts, (target, predicted), 1 if weights is None else weights)
    return counts
