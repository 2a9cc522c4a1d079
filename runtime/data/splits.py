"""How data become a training, a train-dev, a dev and a test set (notes: 'Train/dev/test sets')."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.language.diagnostics import CallError

Array = np.ndarray[Any, Any]
STANDARD_ERRORS, RELATIVE = 3.0, 0.25
"""A class's share in a part is called different if it is off by more than so many standard errors of a random draw and
by more than this part of itself."""


@dataclass(frozen=True)
class Shares:
    """Which share of the data goes to dev and test; `train_dev` is a share of what is left for training.

    Without `dev` a tenth goes there, where the data bring no dev set and are not too few.
    """

    dev: float | None = None
    test: float = 0.0
    train_dev: float = 0.0


@dataclass(frozen=True)
class Partition:
    """How the data of a run were split, so that it can be done again. `fingerprint` is that of their targets, `inputs`
    that of their inputs; None in a run of an earlier version, which is known by the targets alone. `examples`: those of
    some training examples as the network takes them, where there are such."""

    shares: Shares
    seed: int
    fingerprint: str
    inputs: str | None = None
    examples: tuple[int, ...] = ()


def parse_shares(split: str | None, train_dev: float) -> Shares:
    """Percentages for train/dev/test as in 60/20/20, or for train/dev as in 90/10; and the share of a train-dev set.

    Raises:
        CallError: they are no such shares.
    """
    if not 0 <= train_dev < 1:
        raise CallError(f"--train-dev is a share of the training set, as in 0.1, not {train_dev:g}")
    if split is None:
        return Shares(train_dev=train_dev)
    try:
        percent = [float(part) for part in split.split("/")]
    except ValueError:
        percent = []
    if len(percent) not in (2, 3) or not all(part > 0 for part in percent) or not math.isclose(sum(percent), 100):
        raise CallError(f"--split wants percentages for train/dev/test or train/dev that make 100, not {split!r}")
    _, dev, *test = percent
    return Shares(dev / 100, test[0] / 100 if test else 0.0, train_dev)


def classes_of(y: Array) -> Array | None:
    """The classes (n,) of targets, as numbers or words; None where they are no classes.

    Classes are words, one-hot rows, or whole numbers that occur ten times each on average.
    """
    if y.dtype.kind == "U":
        return y
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())
        return y.argmax(axis=1) if one_hot else None
    flat = y.reshape(-1)
    if y.ndim > 2 or flat.dtype.kind not in "fiub" or not np.isfinite(flat).all() or (flat != np.floor(flat)).any():
        return None
    return flat.astype(np.int64) if 10 * len(np.unique(flat)) <= len(flat) else None


def stratified_order(y: Array, seed: int) -> Array:
    """A random order of which every stretch has about the class balance of the whole; just random without classes.

    The k-th of a class's n examples stands at (k + 1/2) / n of the way.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    classes = classes_of(y)
    if classes is None:
        return order
    _, label, counts = np.unique(classes[order], return_inverse=True, return_counts=True)
    by_class = np.argsort(label, kind="stable")
    rank = np.empty(len(y))
    rank[by_class] = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.argsort((rank + 0.5) / counts[label], kind="stable")]


def imbalances(parts: Mapping[str, Array]) -> list[str]:
    """What is to be said of parts whose balance of classes differs noticeably from that of all of them together.

    The rule: a class of share p of the whole has a share q in a part of n examples, with |q - p| above three standard
    errors, sqrt(p (1 - p) / n), and above a quarter of p; or it is missing there although n p >= 1. The class that is
    furthest off stands for its part.
    """
    alike = len({y.shape[1:] for y in parts.values()}) == 1
    classes = classes_of(np.concatenate(list(parts.values()))) if alike else None
    if classes is None:
        return []
    values, label, counts = np.unique(classes, return_inverse=True, return_counts=True)
    p, found, start = counts / len(classes), [], 0
    for name, y in parts.items():
        q = np.bincount(label[start : start + len(y)], minlength=len(p)) / len(y)
        start += len(y)
        far = (abs(q - p) > STANDARD_ERRORS * np.sqrt(p * (1 - p) / len(y))) & (abs(q - p) > RELATIVE * p)
        far |= (q == 0) & (len(y) * p >= 1)
        if far.any():
            at = int(np.argmax(np.where(far, abs(q - p) / p, 0)))
            text = f"{q[at]:.1%} of it are of class {values[at]}, of all data {p[at]:.1%}"
            found.append(f"the {name} set has another balance of classes: {text}")
    return found
