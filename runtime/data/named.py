"""Data sets by name: the subset of MNIST, those of scikit-learn, and those that installed packages add.

A package adds one by an entry point of the group `dslc.datasets`: its name is that of the data set, and it points to a
function without arguments. That returns a mapping: arrays `x` and `y`, perhaps `x_dev`, `y_dev`, `x_test`, `y_test`;
perhaps `class_names`, in the order of the class numbers in `y`, and `feature_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import sklearn_sets
from dslc.runtime.data.arrays_on_disk import from_arrays
from dslc.runtime.data.examples import Dataset, Split

Array = np.ndarray[Any, Any]
Loader = Callable[[], Mapping[str, Any]]
GROUP = "dslc.datasets"
NAMES = ("class_names", "feature_names")


def data_names() -> tuple[str, ...]:
    """All names that there are, in alphabetical order."""
    return tuple(sorted({*_own(), *(found.name for found in entry_points(group=GROUP))}))


def is_data_name(name: str) -> bool:
    """Whether it names a data set."""
    return name in _own() or bool(entry_points(group=GROUP, name=name))


def load_named(name: str) -> Dataset:
    """The data set of a name, with the names of its classes and columns.

    Raises:
        DataError: what it comes from is not installed or fails, does not give what it should, or several packages add
            this name.
    """
    given = dict(_loader(name)())
    classes, features = (given.pop(key, None) for key in NAMES)
    dataset = from_arrays(name, {key: np.asarray(array) for key, array in given.items()})
    if features is not None:
        features = tuple(map(str, features))
        if dataset.train.x.shape[1:] != (len(features),):
            raise DataError(f"{name} has {len(features)} feature_names, and x the shape {dataset.train.x.shape}")
    if classes is None:
        return replace(dataset, features=features)
    words = tuple(map(str, classes))
    train, dev, test = (part and _labelled(part, words, name) for part in (dataset.train, dataset.dev, dataset.test))
    assert train is not None
    return replace(dataset, train=train, dev=dev, test=test, features=features, classes=words)


def _own() -> dict[str, Loader]:
    return {"mnist": _mnist, **sklearn_sets.loaders()}


def _mnist() -> dict[str, Array]:
    with resources.files("dslc.runtime.data.mnist").joinpath("mnist.npz").open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _loader(name: str) -> Loader:
    found = tuple(entry_points(group=GROUP, name=name))
    own = _own().get(name)
    if len(found) + (own is not None) > 1:
        packages = [*(["dslc"] if own else []), *(entry.dist.name if entry.dist else entry.value for entry in found)]
        raise DataError(f"several packages have a data set {name}: {', '.join(packages)}; uninstall all but one")
    return own or (lambda: _from_package(found[0]))


def _from_package(entry: EntryPoint) -> Mapping[str, Any]:
    """What a package's function returns; whatever it raises is told as an error of the data."""
    try:
        given = entry.load()()
    except Exception as error:
        raise DataError(f"the data set {entry.name} fails, {entry.value}: {type(error).__name__}: {error}") from error
    if not isinstance(given, Mapping):
        raise DataError(f"the data set {entry.name}, {entry.value}, must return a mapping with x and y, not {given!r}")
    return given


def _labelled(part: Split, classes: tuple[str, ...], name: str) -> Split:
    """Class numbers as their names."""
    numbers = part.y
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1 or not ((numbers >= 0) & (numbers < len(classes))).all():
        raise DataError(f"{name} has class_names: its y must be class numbers (n,) from 0 to {len(classes) - 1}")
    return replace(part, y=np.array(classes)[numbers])
