"""Diagnosis from the errors on the parts of the data: bias, variance, data mismatch, and what to try next (notes:
'Improving Model Performance', 'Bias and Variance', 'Addressing Data Mismatch')."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BIAS = (
    "a bigger network",
    "training longer, or a better optimizer: momentum, rmsprop, adam",
    "another architecture or other hyperparameters: dslc search",
)
VARIANCE = (
    "more data",
    "regularization: regularize l2(...), dropout, augmentation of the data",
    "another architecture or other hyperparameters: dslc search",
)
MISMATCH = (
    "error analysis by hand: how do the dev examples differ from the training set?",
    "training data that are more like the dev set: collect or synthesize some",
)
OVERFITTING = (
    "a bigger dev set: too many choices were based on this one",
    "a dev and a test set from the same distribution, if they are not",
)


@dataclass(frozen=True)
class Errors:
    """Errors in the same unit, usually shares of wrong answers. `human` stands for the best possible error."""

    human: float
    train: float
    dev: float
    train_dev: float | None = None
    test: float | None = None


@dataclass(frozen=True)
class Gap:
    """How much worse one error is than the one before it, and advice on how to reduce the gap."""

    name: str
    between: str
    size: float
    advice: tuple[str, ...]


def diagnose(errors: Errors) -> tuple[Gap, ...]:
    """The gaps between each error and the next (notes: 'Bias and Variance', 'Addressing Data Mismatch').

    Variance is measured on the train-dev set if there is one, since that has the distribution of the training set. Only
    then can data mismatch be told from variance.
    """
    gaps = [Gap("avoidable bias", "train - human", errors.train - errors.human, BIAS)]
    if errors.train_dev is None:
        gaps.append(Gap("variance", "dev - train", errors.dev - errors.train, VARIANCE))
    else:
        gaps.append(Gap("variance", "train-dev - train", errors.train_dev - errors.train, VARIANCE))
        gaps.append(Gap("data mismatch", "dev - train-dev", errors.dev - errors.train_dev, MISMATCH))
    if errors.test is not None:
        gaps.append(Gap("overfitting to the dev set", "test - dev", errors.test - errors.dev, OVERFITTING))
    return tuple(gaps)


def worst(gaps: Sequence[Gap]) -> Gap | None:
    """The largest gap, to work on first; the earlier of two equal ones. None if no gap is positive."""
    largest = max(gaps, key=lambda gap: gap.size)
    return largest if largest.size > 0 else None
