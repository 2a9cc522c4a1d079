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
        self.head, self.names = head, _suitable(head, wanted)
        self.numbers = {counts: np.zeros(_shape(head, counts)) for counts in map(_counts_for, self.names)}

    def add(self, output: Array, target: Array, weights: Array | None = None) -> None:
        """Counts examples. Missing targets do not count.

        output: (n, *shape of the head). target: class numbers (n,), those of pixels (n, height, width), or the shape of
        the output; of soft labels the likeliest class counts. weights: what each example counts (n,), as if it were
        there so many times; once where None.
        """
        loss = self.head.loss
        if loss is None or not self.names:
            return
        if "errors" in self.numbers:
            self.numbers["errors"] += _errors(output, target, weights)
            return
        if loss.pixels:
            output, target, weights = _pixels(output, target, weights)
        if _has_classes(self.head):
            target, said = likeliest(target), output.argmax(axis=-1)
        else:
            said, target, weights = _yes_or_no(output, target, loss.threshold, weights)
        for counts, numbers in self.numbers.items():
            if counts == "classes":
                numbers += _by_class(said, target, numbers.shape[1], weights)
            else:
                numbers += _top_k(output, target, int(counts.removeprefix("top")), weights)

    def metrics(self) -> dict[str, float]:
        """The metrics of what was counted, by name; NaN where nothing was."""
        return {name: self._metric(name) for name in self.names}

    def _metric(self, name: str) -> float:
        numbers = self.numbers[_counts_for(name)]
        if name in ERRORS:
            return _error(name, *numbers.tolist())
        if _is_top(name):
            return float(numbers[0] / numbers[1]) if numbers[1] else math.nan
        true, classes = numbers[2], _has_classes(self.head)
        if not true.any():
            return math.nan
        if name == "accuracy":
            return float(numbers[0].sum() / true.sum())
        scores = _scores(name, numbers)
        return float(scores[numbers[1] + true > 0].mean() if classes else scores[1])


def _suitable(head: Head, wanted: Sequence[str]) -> list[str]:
    """The metrics of a head's loss, and those wanted ones that suit it."""
    loss = head.loss
    if loss is None or loss.sequences:
        return []
    names = list(dict.fromkeys([*loss.metrics, *wanted]))
    if "accuracy" not in loss.metrics:
        return [name for name in names if name in ERRORS]
    return [name for name in names if name in SCORES or (_is_top(name) and _has_classes(head))]


def _has_classes(head: Head) -> bool:
    """Whether one of several classes is predicted, and not yes or no."""
    return head.loss is not None and bool(head.loss.pixels or head.loss.classes)


def _is_top(name: str) -> bool:
    return name.startswith("top")


def _counts_for(name: str) -> str:
    """Of which counts a metric is made."""
    return "errors" if name in ERRORS else name if _is_top(name) else "classes"


def _shape(head: Head, counts: str) -> tuple[int, ...]:
    if counts == "classes":
        return (3, head.value.shape[-1] if _has_classes(head) else 2)
    return (3,) if counts == "errors" else (2,)


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
    return _scores(name, np.stack([np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)]))


def _scores(name: str, by_class: Array) -> Array:
    """The same from what was predicted rightly, what was predicted, and what there is (3, classes)."""
    hits, predicted, true = by_class
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
