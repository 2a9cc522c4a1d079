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


class Tally:
    """Counts over examples, of which the metrics of a head are made: those of its loss, and those in `wanted` that suit
    it. `numbers`: arrays in double precision; those of parts of the examples add up to those of all.

        errors   what the targets count, and the sums over absolute and squared errors
        classes  for each class what was predicted rightly, what was predicted, and what there is
        top3     what has its class among the three likeliest, and all
    """

    def __init__(self, head: Head, wanted: Sequence[str] = ()) -> None:
        self.head, loss = head, head.loss
        names = [] if loss is None or loss.sequences else list(dict.fromkeys([*loss.metrics, *wanted]))
        self.judges = loss is not None and "accuracy" in loss.metrics
        self.ranks = loss is not None and bool(loss.pixels or loss.classes)
        suit = ERRORS if not self.judges else SCORES
        self.names = [name for name in names if name in suit or (self.judges and self.ranks and _is_top(name))]
        self.numbers = {name: np.zeros(2) for name in self.names if _is_top(name)}
        if self.judges and not self.numbers.keys() >= set(self.names):
            self.numbers["classes"] = np.zeros((3, head.value.shape[-1] if self.ranks else 2))
        elif not self.judges and self.names:
            self.numbers["errors"] = np.zeros(3)

    def add(self, output: Array, target: Array, weights: Array | None = None) -> None:
        """Counts examples. Missing targets do not count.

        output: (n, *shape of the head). target: class numbers (n,), those of pixels (n, height, width), or the shape of
        the output; of soft labels the likeliest class counts. weights: what each example counts (n,), as if it were
        there so many times; once where None.
        """
        if "errors" in self.numbers:
            self.numbers["errors"] += _errors(output, target, weights)
        if not self.judges:
            return
        assert self.head.loss is not None
        if self.head.loss.pixels:
            output, target, weights = _pixels(output, target, weights)
        if self.ranks:
            target, said = likeliest(target), output.argmax(axis=-1)
        else:
            said, target, weights = _yes_or_no(output, target, self.head.loss.threshold, weights)
        for name, numbers in self.numbers.items():
            numbers += (
                _by_class(said, target, len(numbers[0]), weights)
                if name == "classes"
                else _top_k(output, target, int(name.removeprefix("top")), weights)
            )

    def metrics(self) -> dict[str, float]:
        """The metrics of what was counted, by name; NaN where nothing was."""
        return {name: self._metric(name) for name in self.names}

    def _metric(self, name: str) -> float:
        if _is_top(name):
            among, count = self.numbers[name]
            return float(among / count) if count else math.nan
        if not self.judges:
            return _error(name, *self.numbers["errors"].tolist())
        hits, predicted, true = self.numbers["classes"]
        if not true.any():
            return math.nan
        if name == "accuracy":
            return float(hits.sum() / true.sum())
        scores = _scores(name, hits, predicted, true)
        return float(scores[predicted + true > 0].mean() if self.ranks else scores[1])


def head_metrics(
    head: Head, output: Array, target: Array, wanted: Sequence[str] = (), weights: Array | None = None
) -> dict[str, float]:
    """The metrics of a head by name, of examples as for `Tally.add`: precision, recall and F1 of classes are macro
    averages over those that occur."""
    tally = Tally(head, wanted)
    tally.add(output, target, weights)
    return tally.metrics()


def mean_losses(sums: Sequence[float]) -> list[float]:
    """Each head's loss from pairs of a sum and the number of labels that are there; NaN where there is none."""
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return [total / labels if labels else math.nan for total, labels in pairs]


def _is_top(name: str) -> bool:
    return name.startswith("top")


def _errors(output: Array, target: Array, weights: Array | None) -> Array:
    """What the targets that are not missing count, and the sums over absolute and squared errors."""
    there = ~np.isnan(target)
    error = (output - target)[there].astype(np.float64)
    if weights is None:
        return np.array([error.size, np.abs(error).sum(), (error**2).sum()])
    each = _of_elements(weights, target)[there]
    return np.array([each.sum(), (np.abs(error) * each).sum(), (error**2 * each).sum()])


def _error(name: str, count: float, absolute: float, square: float) -> float:
    """mae, mse or rmse."""
    if not count:
        return math.nan
    mean = (absolute if name == "mae" else square) / count
    return math.sqrt(mean) if name == "rmse" else mean


def _pixels(output: Array, target: Array, weights: Array | None) -> tuple[Array, Array, Array | None]:
    """Outputs (pixels, classes), class numbers (pixels,) and weights of the pixels that have a label."""
    there = ~np.isnan(target)
    each = None if weights is None else _of_elements(weights, target)[there]
    return output[there], target[there].astype(int), each


def _of_elements(weights: Array, target: Array) -> Array:
    """The weight of every element of targets (n, ...), in double precision."""
    return np.broadcast_to(weights.reshape(-1, *[1] * (target.ndim - 1)), target.shape).astype(np.float64)


def _yes_or_no(
    output: Array, target: Array, threshold: float, weights: Array | None
) -> tuple[Array, Array, Array | None]:
    """Of all outputs that have a target, taken all together, what was said and what is true, 0 or 1, and their weights:
    an output is 'yes' if it is at least the threshold."""
    there = ~np.isnan(target)
    each = None if weights is None else _of_elements(weights, target)[there]
    return (output >= threshold)[there].astype(int), (target >= 0.5)[there].astype(int), each


def _by_class(said: Array, target: Array, classes: int, weights: Array | None) -> Array:
    """For each class what was said rightly, what was said, and what is true (3, classes)."""
    right = said == target
    counted = ((said[right], None if weights is None else weights[right]), (said, weights), (target, weights))
    return np.stack([np.bincount(numbers, each, classes) for numbers, each in counted])


def _top_k(output: Array, target: Array, k: int, weights: Array | None) -> Array:
    """How many examples have their true class among the k most likely, and how many there are; ties go to the lower
    class number.

    output: (n, classes). target: class numbers (n,). weights: what each example counts (n,).
    """
    among = (np.argsort(-output, axis=-1, kind="stable")[:, :k] == target[:, None]).any(axis=1)
    each = np.ones(len(among)) if weights is None else weights.astype(np.float64)
    return np.array([each[among].sum(), each.sum()])


def class_scores(name: str, matrix: Array) -> Array:
    """`precision`, `recall`, `f1` or `iou` of each class (classes,) from a confusion matrix (classes, classes); 0 for
    0 / 0.

    precision = tp / (tp + fp), recall = tp / (tp + fn), and F1 = 2 tp / (2 tp + fp + fn) is their harmonic mean; IoU =
    tp / (tp + fp + fn), intersection over union.
    """
    return _scores(name, np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1))


def _scores(name: str, hits: Array, predicted: Array, true: Array) -> Array:
    either = predicted + true
    over = {"precision": predicted, "recall": true, "f1": either / 2, "iou": either - hits}[name]
    scores: Array = np.divide(hits, over, out=np.zeros(len(hits)), where=over > 0)
    return scores


def confusion(output: Array, target: Array, weights: Array | None = None) -> Array:
    """The confusion matrix (classes, classes) of outputs (n, classes) and class numbers (n,): rows are the true
    classes, columns the predicted ones. weights: what each example counts (n,)."""
    return confusion_of(output.argmax(axis=-1), target, output.shape[-1], weights)


def binary_confusion(output: Array, target: Array, threshold: float, weights: Array | None = None) -> Array:
    """The confusion matrix (2, 2) of all yes-or-no outputs that have a target; 'no' is class 0 and 'yes' class 1."""
    said, true, each = _yes_or_no(output, target, threshold, weights)
    return confusion_of(said, true, 2, each)


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
