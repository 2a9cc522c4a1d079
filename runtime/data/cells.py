"""Cells of a column, wherever it comes from: a file, a frame of pandas or polars, an array, a list. They become words
or numbers, with None or NaN where one is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dslc.columns import MISSING, Table, as_word
from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.column_kinds import TRUE_FALSE
from dslc.runtime.data.frames import columns_of, in_words, is_frame, is_missing
from dslc.runtime.data.tables import THOUSANDS

Array = np.ndarray[Any, Any]
PLAIN = re.compile(r"[0-9.eE+\- ]*")
"""What numbers consist of."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def columns(table: Table, given: Any) -> dict[str, Array]:
    """The declared columns of a frame or a dict of arrays, by name.

    Raises:
        DataError: it has no columns with names, or lacks one of these.
    """
    if is_frame(given):
        names = dict(zip(columns_of(given), given.columns, strict=True))
    elif isinstance(given, Mapping):
        names = {str(name): name for name in given}
    else:
        raise DataError(f"input {table.input} is a table: give a frame or a dict of columns, by their names")
    lacking = [name for name in table.names if name not in names]
    if lacking:
        raise DataError(f"input {table.input}: the data lack {in_words(lacking)}; they have {', '.join(names)}")
    found = {name: _cells_of(given[names[name]], name) for name in table.names}
    lengths = {name: len(array) for name, array in found.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise DataError(f"input {table.input}: the columns have different numbers of rows: {told}")
    return found


def _cells_of(column: Any, name: str) -> Array:
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
    known: dict[str, str | None] = {}
    found = np.empty(len(array), object)
    for row, cell in enumerate(array):
        text = cell if type(cell) is str else _text(cell, name, row)
        if text not in known:
            word = as_word(text)
            known[text] = None if word in MISSING else word
        found[row] = known[text]
    return found


def _text(cell: Any, name: str, row: int) -> str:
    """What stands in a cell; nothing where it is missing."""
    if is_missing(cell) or cell != cell:
        return ""
    if not isinstance(cell, (str, int, float, np.number, np.bool_)):
        raise ExampleError(f"{{}}, column {name!r}: {cell!r} is no word", row)
    return str(cell)


def numbers(array: Array, name: str) -> Array:
    """Cells as numbers (n,) in double precision, NaN where one is missing; true is 1, false 0.

    Raises:
        ExampleError: a cell is no finite number.
    """
    if array.dtype.kind in "fiub":
        found = array.astype(np.float64)
    else:
        plain = _plain_numbers(array)
        found = plain if plain is not None else np.array([_number(c, name, row) for row, c in enumerate(array)])
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        row = int(infinite[0])
        raise ExampleError(f"{{}}, column {name!r}: {array[row]} is no finite number", row)
    return found


def _plain_numbers(array: Array) -> Array | None:
    """Words that are all numbers, or nothing, read at once; None where it is not that simple."""
    texts = array.tolist()
    there = [text for text in texts if text is not None]
    if not all(type(text) is str for text in there) or not PLAIN.fullmatch("".join(there)):
        return None
    try:
        return np.array([np.nan if text is None else text for text in texts], np.float64)
    except ValueError:
        return None


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
        told = f"has a separator of thousands: write {re.sub(r'[^0-9.+-]', '', text)}"
    else:
        told = "is no number; a column of words is a category"
    raise ExampleError(f"{{}}, column {name!r}: {text!r} {told}", row)
