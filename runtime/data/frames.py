"""Data frames of pandas and polars: their columns by name, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError

Array = np.ndarray[Any, Any]
SHOWN = 10
"""So many names of many are shown."""
LONGEST = 60
"""Of a longer name or cell the beginning is shown."""


def is_frame(given: Any) -> bool:
    """Whether it is a table with named columns."""
    return hasattr(given, "columns") and hasattr(given, "to_numpy") and getattr(given, "ndim", 2) == 2


def columns_of(frame: Any) -> tuple[str, ...]:
    """The names of its columns as words."""
    return tuple(map(str, frame.columns))


def frame_array(frame: Any, columns: tuple[str, ...]) -> Array:
    """These columns as (n, columns).

    Raises:
        DataError: one is missing, or holds something else than numbers; it names the column and the row.
    """
    names = columns_of(frame)
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(f"the table lacks {in_words(missing)}, which the model was fitted on")
    return np.column_stack([_numbers(frame[frame.columns[names.index(name)]], name) for name in columns])


def in_words(columns: list[str] | tuple[str, ...]) -> str:
    """`the column 'a'`, `the columns 'a', 'b'`; of many the first."""
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f"the column{'s' * (len(columns) > 1)} {', '.join(map(quoted, columns[:SHOWN]))}{more}"


def listed(names: Sequence[str]) -> str:
    """Names for a message; of many the first."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names[:SHOWN]) + more


def quoted(cell: str) -> str:
    """A name or a cell in quotes; of a long one the beginning."""
    return repr(cell) if len(cell) <= LONGEST else f"{cell[:LONGEST]!r}... ({len(cell):,} characters)"


def _numbers(column: Any, name: str) -> Array:
    array: Array = column.to_numpy()
    if array.dtype.kind in "fiub":
        return array
    for row, cell in enumerate(array):
        if is_missing(cell):
            raise DataError(f"column {name!r} is missing in row {row}, counted from 0: fill it or leave the row out")
        if not isinstance(cell, (int, float, np.number, np.bool_)):
            raise DataError(
                f"column {name!r} holds {cell!r} in row {row}, counted from 0: a network takes numbers; leave the "
                "column out, or make columns of 0 and 1 of it"
            )
    return array.astype(np.float64)


def is_missing(cell: Any) -> bool:
    """None, NaN, or what pandas puts in the place of a value."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)
