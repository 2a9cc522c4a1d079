"""What a column of a table holds: numbers, truth values or words, and where nothing stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.columns import MISSING

if TYPE_CHECKING:
    from polars import Series

Array = np.ndarray[Any, Any]
LEADING_ZEROS = r"^[+-]?0\d"
TRUE_FALSE = {"true": 1.0, "false": 0.0}


def words_of(column: Series) -> Series:
    """Its cells as words, without spaces around them."""
    import polars

    return column.cast(polars.String).str.strip_chars()


def missing_of(column: Series) -> Array:
    """Where nothing stands, or a word that says so."""
    gone = column.is_null()
    if str(column.dtype) in ("String", "Categorical", "Enum"):
        gone = gone | words_of(column).is_in(list(MISSING)).fill_null(True)
    elif column.dtype.is_float():
        gone = gone | column.is_nan().fill_null(True)
    found: Array = gone.to_numpy()
    return found


def numbers_of(column: Series) -> tuple[str, Array | None]:
    """What a column holds, `number`, `truth` or `word`, and its numbers: NaN where there is none. No numbers at all
    where it holds dates, lists and the like.

    It is told by the whole column: `number` if every cell that is not missing is one.
    """
    import polars

    kind = str(column.dtype)
    if kind == "Boolean":
        return "truth", column.cast(polars.Float64).fill_null(float("nan")).to_numpy()
    if column.dtype.is_numeric():
        return "number", column.cast(polars.Float64).fill_null(float("nan")).to_numpy()
    if kind == "Null":
        return "number", np.full(len(column), np.nan)
    if not kind.startswith(("String", "Categorical", "Enum")):
        return kind, None
    plain = column.cast(polars.Float64, strict=False).fill_null(float("nan")).to_numpy()
    if np.isfinite(plain).all():
        return "number", plain
    words = words_of(column)
    values = words.cast(polars.Float64, strict=False).fill_null(float("nan")).to_numpy()
    gone = missing_of(column)
    if (np.isnan(values) == gone).all():
        return "number", values
    lower = words.str.to_lowercase()
    if (lower.is_in(list(TRUE_FALSE)).fill_null(False).to_numpy() | gone).all():
        return "truth", lower.replace_strict(TRUE_FALSE, default=float("nan"), return_dtype=polars.Float64).to_numpy()
    return "word", values


def told_apart(words: Series, values: Array) -> tuple[str, str] | None:
    """Two ways to write a whole number that are two classes: one with leading zeros, as codes have them, or two that
    both occur; None where each class is a number. words, values: the cells of a column, which are all numbers."""
    import polars

    if (values != np.floor(values)).any():
        return None
    padded = words.filter(words.str.contains(LEADING_ZEROS))
    if len(padded):
        return padded[0], f"{float(padded[0]):.0f}"
    distinct = words.unique(maintain_order=True)
    numbers = distinct.cast(polars.Float64)
    twice = numbers.filter(numbers.is_duplicated())
    if not len(twice):
        return None
    first, second, *_ = distinct.filter(numbers == twice[0])
    return first, second
