"""Sample weights: what each example counts, as the compiled network wants it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.arrays import as_numbers

Array = np.ndarray[Any, Any]
WHAT = "sample_weight"


def as_weights(given: Any, count: int, dtype: Any) -> Array:
    """The weights (count,) in the network's precision. A weight of k counts as k examples, one of 0 as none.

    Raises:
        DataError: they are no such array; one is negative, not finite or too small for the precision; all are 0.
    """
    array = as_numbers(given, WHAT)
    if array.shape not in ((count,), (count, 1)):
        raise DataError(f"{WHAT}: expected the shape ({count},), a number for each example, found {array.shape}")
    array = array.reshape(count)
    if np.ma.is_masked(given):
        raise ExampleError(f"{WHAT} is masked in {{}}: leave the example out, or give it 0", _first(given.mask))
    limits = np.finfo(dtype)
    least, most = float(limits.tiny), float(limits.max)
    for bad, what in (
        (~np.isfinite(array), "is not finite (NaN or infinite)"),
        (array < 0, "is negative"),
        ((array > 0) & (array < least), f"is less than {least:.2g}, the smallest number of {limits.dtype},"),
    ):
        if bad.any():
            raise ExampleError(f"{WHAT} {what} in {{}}: {array[_first(bad)]:g}", _first(bad))
    total = float(array.sum(dtype=np.float64))
    if total == 0:
        raise DataError(f"{WHAT}: all {count} weights are 0, so that no example counts")
    if total > most:
        raise DataError(f"{WHAT}: the weights add up to {total:g}, which is too much for {limits.dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


def _first(bad: Array) -> int:
    return int(np.argmax(np.ravel(bad)))


# ---------------------------------------------------------------------- statistics, as if examples were repeated


def mean(values: Array, weights: Array | None) -> float:
    """sum(w x) / sum(w)."""
    return float(values.mean() if weights is None else np.average(values, weights=weights))


def deviation(values: Array, weights: Array | None) -> float:
    """The biased standard deviation: the root of sum(w (x - mean)^2) / sum(w)."""
    if weights is None:
        return float(values.std())
    return float(np.sqrt(np.average((values - mean(values, weights)) ** 2, weights=weights)))


def median(values: Array, weights: Array | None) -> float:
    """Where half of the weight is reached: the middle between two values where it is reached between them."""
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    ends = (np.searchsorted(reached, reached[-1] / 2, side) for side in ("left", "right"))
    return float(np.mean([values[order[end]] for end in ends]))
