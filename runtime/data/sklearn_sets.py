"""The data sets of scikit-learn: those that it ships, those that it makes, and those that it has fetched before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError

Array = np.ndarray[Any, Any]
TEST_SHARE = 0.2
ORDER_SEED = 0
COUNT = 1000
"""How many examples are made."""

SHIPPED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
MADE: dict[str, tuple[str, dict[str, object]]] = {
    "blobs": ("make_blobs", {"n_features": 2, "centers": 4}),
    "circles": ("make_circles", {"noise": 0.1, "factor": 0.5}),
    "friedman1": ("make_friedman1", {"noise": 1.0}),
    "friedman2": ("make_friedman2", {}),
    "friedman3": ("make_friedman3", {}),
    "gaussian_quantiles": ("make_gaussian_quantiles", {"n_features": 2, "n_classes": 3}),
    "hastie": ("make_hastie_10_2", {}),
    "moons": ("make_moons", {"noise": 0.2}),
    "s_curve": ("make_s_curve", {"noise": 0.1}),
    "swiss_roll": ("make_swiss_roll", {"noise": 0.5}),
}
"""By name: the function that makes it, and its arguments besides the number of examples and the seed 0."""
FETCHED = ("california_housing", "covtype", "olivetti_faces")


def loaders() -> dict[str, Callable[[], Mapping[str, Any]]]:
    """What gives each data set, by its name, as `dslc.datasets` has it."""
    shipped = {name: partial(_shipped, name) for name in SHIPPED}
    return {**shipped, **{name: partial(_made, name) for name in MADE}, **{n: partial(_fetched, n) for n in FETCHED}}


def _datasets(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError(f"the data set {name} comes with scikit-learn: pip install scikit-learn") from None
    return datasets


def _shipped(name: str) -> dict[str, Any]:
    bunch = getattr(_datasets(name), f"load_{name}")()
    if name == "digits":
        return _parts(bunch.images[..., None] / 16, bunch.target, np.arange(len(bunch.target)))
    classes = {"class_names": bunch.target_names} if bunch.target.dtype.kind == "i" else {}
    return {**_parts(bunch.data, bunch.target), "feature_names": bunch.feature_names, **classes}


def _made(name: str) -> dict[str, Any]:
    function, arguments = MADE[name]
    return _parts(*getattr(_datasets(name), function)(n_samples=COUNT, random_state=0, **arguments))


def _fetched(name: str) -> dict[str, Any]:
    fetch = getattr(_datasets(name), f"fetch_{name}")
    try:
        bunch = fetch(download_if_missing=False)
    except OSError:
        call = f"python -c 'import sklearn.datasets as d; d.{fetch.__name__}()'"
        raise DataError(f"the data set {name} is not on this machine; this fetches it once: {call}") from None
    x = bunch.images[..., None] if "images" in bunch else bunch.data
    return {**_parts(x, bunch.target), "feature_names": bunch.get("feature_names")}


def _parts(x: Array, y: Array, order: Array | None = None) -> dict[str, Array]:
    """The last fifth is the test set. Some sets come sorted by class: they are put into a fixed random order first,
    unless there is an order; the digits have one, by who wrote them."""
    if order is None:
        order = np.random.default_rng(ORDER_SEED).permutation(len(x))
    x, y, cut = x[order], y[order], len(x) - int(len(x) * TEST_SHARE)
    return {"x": x[:cut], "y": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}
