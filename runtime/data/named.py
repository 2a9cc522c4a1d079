"""The data sets that scikit-learn ships, as arrays: tables of features, and 8x8 digits as images."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError

Array = np.ndarray[Any, Any]
TABLES = ("breast_cancer", "diabetes", "iris", "wine")
NAMES = ("digits", *TABLES)
TEST_SHARE = 0.2
ORDER_SEED = 0


def named_arrays(name: str) -> dict[str, Array]:
    """`x`, `y`, `x_test` and `y_test` of a data set: the last fifth is the test set. Tables, some of which come sorted
    by class, are put into a fixed random order first; the digits stay in their own.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError(f"the data set {name} comes with scikit-learn: pip install scikit-learn") from None
    bunch = getattr(datasets, f"load_{name}")()
    x = bunch.images[..., None] / 16 if name == "digits" else bunch.data
    order = np.arange(len(x)) if name == "digits" else np.random.default_rng(ORDER_SEED).permutation(len(x))
    cut = len(x) - int(len(x) * TEST_SHARE)
    x, y = x[order].astype(np.float32), bunch.target[order]
    return {"x": x[:cut], "y": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}
