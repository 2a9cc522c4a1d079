"""Cells of a column, wherever it comes from: a file, a frame of pandas or polars, an array, a list. They become words
or numbers, with None or NaN where one is missing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from dslc.columns import MISSING, as_word
from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.frames import is_missing
from dslc.runtime.data.tables import THOUSANDS, TRUE_FALSE

Array = np.ndarray[Any, Any]
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def cells_of(column: Any, name: str) -> Array:
    """The cells of a column (n,) as NumPy has them; what is masked is None.

    Raises:
        DataError: it is no column.
    """
    if isinstance(column, np.ma.MaskedArray):
        array: Array = np.array(column.data, object)
        array[np.ma.getmaskarray(column)] = None
    elif hasattr(column, "to_numpy"):
        array = column.to_numpy()
    else:
        mixed = isinstance(column, (list, tuple)) and any(isinstance(cell, str) or cell is None for cell in column)
        array = np.asarray(column, object if mixed else None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "fiubUO":
        raise DataError(f"column {name!r} holds {array.dtype}: a column holds numbers or words")
    if array.ndim != 1:
        raise DataError(f"column {name!r} has the shape {array.shape}: a column is (n,)")
    return array


def words(array: Array, name: str) -> Array:
    """Cells as words (n,), None where one is missing. Numbers are words as they are written, `3.0` as `3`.

    Raises:
        ExampleError: a cell is neither a word nor a number.
    """
    if array.dtype.kind in "fiub":
        distinct, at = np.unique(array, return_inverse=True)
        return _words(distinct, name)[at.reshape(-1)]
    return _words(array, name)


def _words(array: Array, name: str) -> Array:
    found, known = np.empty(len(array), object), {}
    for row, cell in enumerate(array):
        if is_missing(cell) or cell != cell:
            continue
        if not isinstance(cell, (str, int, float, np.number, np.bool_)):
            raise ExampleError(f"{{}}, column {name!r}: {cell!r} is no word", row)
        text = str(cell)
        if text not in known:
            word = as_word(text)
            known[text] = None if word in MISSING else word
        found[row] = known[text]
    return found


def numbers(array: Array, name: str) -> Array:
    """Cells as numbers (n,) in double precision, NaN where one is missing; true is 1, false 0.

    Raises:
        ExampleError: a cell is no finite number.
    """
    if array.dtype.kind in "fiub":
        found = array.astype(np.float64)
    else:
        found = np.array([_number(cell, name, row) for row, cell in enumerate(array)], np.float64)
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        row = int(infinite[0])
        raise ExampleError(f"{{}}, column {name!r}: {array[row]} is no finite number", row)
    return found


def _number(cell: Any, name: str, row: int) -> float:
    if is_missing(cell):
        return np.nan
    if isinstance(cell, (int, float, np.number, np.bool_)):
        return float(cell)
    text = cell.strip() if isinstance(cell, str) else repr(cell)
    if text in MISSING:
        return np.nan
    if NUMBER.fullmatch(text):
        return float(text)
    if text.lower() in TRUE_FALSE:
        return TRUE_FALSE[text.lower()]
    if re.match(THOUSANDS, text):
        told = f"has a separator of thousands: write {text.replace(',', '')}"
    else:
        told = "is no number; a column of words is a category"
    raise ExampleError(f"{{}}, column {name!r}: {text!r} {told}", row)
