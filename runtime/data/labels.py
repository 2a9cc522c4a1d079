"""Classes by name: which number each label of the targets has, and back."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.given import as_array

Array = np.ndarray[Any, Any]
Label = str | int | bool
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
PLAIN = re.compile(r"-?(0|[1-9]\d*)")
SHOWN = 10
"""Up to how many labels an error lists."""


@dataclass(frozen=True)
class Classes:
    """The labels of a head's classes; the number of a class is the place of its label.

    Raises:
        DataError: two labels have one text.
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        first: dict[str, Label] = {}
        for label in self.labels:
            if _key(label) in first:
                raise DataError(f"the labels {first[_key(label)]!r} and {label!r} cannot be told apart: rename one")
            first[_key(label)] = label

    @property
    def names(self) -> tuple[str, ...]:
        """The labels as words."""
        return tuple(map(str, self.labels))

    @property
    def spelled(self) -> bool:
        """Whether one of them is a word that is a number in another form than whole numbers have: `01`, `1.0`."""
        words = [label for label in self.labels if isinstance(label, str)]
        return any(NUMBER.fullmatch(word) and not PLAIN.fullmatch(word) for word in words)

    def numbers(self, head: str, labels: Array) -> Array:
        """The class numbers of labels (n,). A label is known by its text, so that the class 3 of a table is the class
        of a folder named 3.

        Raises:
            DataError: one of them is none of these classes; it names the example.
        """
        number = {_key(label): i for i, label in enumerate(self.labels)}
        distinct, at = _distinct(labels)
        found = np.array([number.get(_key(label), -1) for label in distinct], np.int32)[at]
        if (found < 0).any():
            bad = int(np.argmax(found < 0))
            label, known = _plain(labels[bad]), _shown(self.labels)
            raise ExampleError(f"target {head}: {{}} is of the class {label!r}; the model knows {known}", bad)
        return found

    def of(self, numbers: Array) -> Array:
        """The labels of class numbers, in the type that they were given in."""
        return np.array(self.labels)[numbers]


def labels_of(given: Any) -> Array | None:
    """Targets that are labels, as an array (n,) of words, whole numbers or truth values; None where they are something
    else, such as one-hot rows or fractions. Words of a frame or a list come as objects.

    Raises:
        DataError: one of the labels is missing, or they are no array.
    """
    array = as_array(given, "the target")
    if array.dtype.kind == "U" and isinstance(given, (list, tuple)):
        array = np.asarray(given, object)  # NumPy has made words of numbers among them
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        return None
    if array.dtype == object:
        array = _from_objects(array)
    if array.dtype.kind == "f" and len(array) and np.isfinite(array).all() and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    return array if array.dtype.kind in "iubU" else None


def _from_objects(array: Array) -> Array:
    """Words as an array of words; what is not all words as NumPy would read it."""
    words = np.array([isinstance(label, str) for label in array], bool)
    if words.any() and not words.all():
        bad = int(np.argmin(words))
        missing = array[bad] is None or array[bad] != array[bad] or "NA" in type(array[bad]).__name__
        found = "is missing" if missing else f"is {array[bad]!r} among words"
        raise ExampleError(f"the class of {{}} {found}", bad)
    return np.array(array.tolist())


def distinct_labels(labels: Array) -> tuple[Label, ...]:
    """The labels that occur: numbers by size, words by the alphabet, or by size where all of them are whole numbers."""
    found = [_plain(label) for label in _distinct(labels)[0]]
    if found and all(isinstance(label, str) and label.isdecimal() for label in found):
        return tuple(sorted(found, key=lambda word: (int(word), word)))
    return tuple(found)


def learned(head: str, labels: Array, classes: int) -> Classes | None:
    """The classes of training targets, for a head that tells so many; None where they are class numbers already. Words
    may be fewer than the classes.

    Raises:
        DataError: there are more labels than classes.
    """
    if labels.dtype.kind in "iu" and len(labels) and labels.min() >= 0 and labels.max() < classes:
        return None
    found = distinct_labels(labels)
    if len(found) > classes or (labels.dtype.kind in "iu" and len(found) < classes):
        text = f"{_counted(found)} for a network that tells {classes} classes; its classes go from 0 to {classes - 1}"
        if labels.dtype.kind not in "iu":
            raise DataError(f"target {head}: {text}")
        bad = int(np.argmax((labels < 0) | (labels >= classes)))
        raise ExampleError(f"target {head}: {{}} has the class {int(labels[bad])}; {text}", bad)
    if len(found) == classes:
        return Classes(found)
    unused = tuple(f"unused {i}" for i in range(len(found), classes))
    text = f"target {head}: {_counted(found)} for a network that tells {classes} classes"
    warnings.warn(f"{text}: the others are unused", DataNote, stacklevel=5)
    return Classes((*found, *unused))


def _counted(labels: tuple[Label, ...]) -> str:
    return f"{len(labels)} label{'s' * (len(labels) != 1)} ({_shown(labels)})"


def _distinct(labels: Array) -> tuple[Array, Array]:
    distinct, at = np.unique(labels, return_inverse=True)
    return distinct, at.reshape(-1)


def _plain(label: Any) -> Label:
    found: Label = label.item() if hasattr(label, "item") else label
    return found


def _key(label: Any) -> str:
    """By which labels are told apart: true, True and the truth value are one."""
    text = str(_plain(label))
    return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text


def _shown(labels: tuple[Label, ...]) -> str:
    more = len(labels) - SHOWN
    return ", ".join(map(str, labels[:SHOWN])) + (f" and {more} more" if more > 0 else "")
