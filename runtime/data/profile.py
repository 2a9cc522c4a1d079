"""What the columns of a table hold, and what a network should not be given."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import tables
from dslc.runtime.data.column_kinds import missing_of, numbers_of, told_apart, words_of
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.frames import listed

if TYPE_CHECKING:
    from polars import Series

Array = np.ndarray[Any, Any]
SHOWN = 3
"""Of how many distinct words a column shows examples."""
FEWEST = 20
"""From so many rows on a column is called an identifier or a leak: in fewer it may be chance."""
LEAK = 0.999


@dataclass(frozen=True)
class Column:
    """What a column holds. `kind`: number, whole number, truth, word, or the type of something else; `range`: the
    smallest and the largest number, or some words; `warning` is empty where nothing is to be said."""

    name: str
    kind: str
    missing: int
    range: str
    distinct: int
    warning: str


@dataclass(frozen=True)
class Profile:
    """All columns of a table of so many rows."""

    rows: int
    columns: tuple[Column, ...]


def profile(path: str, target: str | None = None, header: bool = True) -> Profile:
    """What the table at `path` holds; what was assumed in reading it is warned of.

    Raises:
        DataError: it is no table, or cannot be read, or has no such target.
    """
    file = Path(path)
    if not tables.reads(file):
        raise DataError(f"there is no table at {path}: name a file that ends in {', '.join(tables.ENDINGS)}")
    table = tables.open_table(file, header)
    for note in table.notes:
        warnings.warn(note, DataNote, stacklevel=2)
    names = table.frame.columns
    if target is not None and target not in names:
        raise DataError(f"{path} has no column {target!r}; its columns: {listed(names)}")
    wanted = None if target is None else codes(table.column(target))
    return Profile(table.frame.height, tuple(_column(table.column(name), name == target, wanted) for name in names))


def _column(column: Series, is_target: bool, target: Array | None) -> Column:
    kind, values = numbers_of(column)
    gone = missing_of(column)
    there = column.filter(~_series(gone))
    distinct = there.n_unique()
    shown, words = "", kind == "word"
    if kind == "number" and values is not None and len(there):
        low, high = np.nanmin(values), np.nanmax(values)
        shown = f"{low:.6g} to {high:.6g}"
        kind = "whole number" if (values[~gone] == np.floor(values[~gone])).all() else kind
    elif kind in ("word", "truth"):
        shown = ", ".join(map(str, there.unique(maintain_order=True).head(SHOWN))) + (
            ", ..." if distinct > SHOWN else ""
        )
    warning = _of_target(column) if is_target else _warning(column, kind, words, values, gone, distinct, target)
    return Column(column.name, kind, int(gone.sum()), shown, distinct, warning)


def _of_target(column: Series) -> str:
    """That it is the target, and which of its cells are two classes although they are one number."""
    apart = _written_apart(column)
    return "target" if apart is None else f"target; as classes {apart[0]!r} and {apart[1]!r} are two"


def _written_apart(column: Series) -> tuple[str, str] | None:
    kind, values = numbers_of(column)
    if values is None or kind != "number" or column.dtype.is_numeric() or np.isnan(values).any():
        return None
    return told_apart(words_of(column), values)


def _series(gone: Array) -> Series:
    import polars

    return polars.Series(gone)


def _warning(
    column: Series, kind: str, words: bool, values: Array | None, gone: Array, distinct: int, target: Array | None
) -> str:
    rows = len(column)
    if distinct <= 1:
        return "constant: tells nothing"
    if rows >= FEWEST and target is not None and leaks(codes(column), values, target):
        return "tells the target: a leak?"
    if rows >= FEWEST and distinct == rows and (words or kind == "whole number"):
        return "another value in each row: an identifier?"
    if values is None:
        return "neither numbers nor words"
    if words:
        numbers = int((~np.isnan(values)).sum())
        return f"{numbers:,} of {rows:,} cells are numbers" if numbers else "words: declare a category"
    return "missing cells: declare what stands for them" if gone.any() else ""


def codes(column: Series) -> Array:
    """A number for each distinct value of a column; numbers are their own, unless they are words by how they are
    written."""
    kind, values = numbers_of(column)
    if values is not None and kind in ("number", "truth") and _written_apart(column) is None:
        return values
    return np.unique(column.to_numpy().astype(str), return_inverse=True)[1].reshape(-1).astype(float)


def leaks(column: Array, values: Array | None, target: Array) -> bool:
    """Whether the column tells the target: a correlation beyond LEAK of numbers, or each of its values, which are few,
    goes with one value of the target and the other way about."""
    there = ~np.isnan(column) & ~np.isnan(target)
    a, b = column[there], target[there]
    if len(a) < FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
        return False
    pairs, ours, theirs = (len(np.unique(part, axis=0)) for part in (np.column_stack([a, b]), a, b))
    if pairs == ours == theirs and 2 * ours <= len(a):
        return True
    return values is not None and abs(float(np.corrcoef(a, b)[0, 1])) > LEAK
