"""Calibration: is what a network calls 80% sure right in 80% of the cases? (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.ir import Head
from dslc.runtime.data.soft_labels import likeliest

Array = np.ndarray[Any, Any]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers of which the network is about equally sure: how many, their mean probability, and the share that is
    right."""

    count: int
    probability: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """The bins that hold answers, from unsure to sure. `error`: the expected calibration error, the mean distance of
    probability and share, weighted by the counts."""

    bins: tuple[Bin, ...]
    error: float


def calibrate(probability: Array, right: Array) -> Calibration:
    """probability (n,): from 0 to 1; right (n,): whether what it is the probability of is so."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = tuple(
        Bin(int(there.sum()), float(probability[there].mean()), float(right[there].mean()))
        for there in (place == number for number in range(BINS))
        if there.any()
    )
    total = max(1, len(probability))
    return Calibration(bins, sum(b.count * abs(b.probability - b.right) for b in bins) / total)


def calibration_of(head: Head, output: Array, target: Array) -> Calibration | None:
    """Of the answer of a softmax, or of each yes of a sigmoid; None where the outputs are not probabilities.

    output: (n, *shape of the head). target: as `as_targets` gives it, NaN where a label is missing.
    """
    assert head.loss is not None
    if not _probabilities(output):
        return None
    if head.loss.classes:
        return calibrate(output.max(axis=1), output.argmax(axis=1) == likeliest(target))
    there = ~np.isnan(target)
    return calibrate(output[there], target[there] >= 0.5)


def _probabilities(output: Array) -> bool:
    """Whether all outputs are from 0 to 1, as those of a softmax and a sigmoid are, and not scores."""
    return bool(len(output)) and bool(((output >= 0) & (output <= 1 + 1e-6)).all())
