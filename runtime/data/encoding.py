"""How declared columns of a table become the numbers of an input: learned from the training set, stored with the
weights as a plain table, and applied to all data by the names of columns."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from dslc.columns import Column, Table
from dslc.columns.category import Category
from dslc.columns.number import Number
from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.cells import columns, numbers, words
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.sample_weights import as_weights, deviation, mean, median

Array = np.ndarray[Any, Any]
MOST_VALUES = 10_000
"""So many values a category may have."""
SHOWN = 5
"""So many values a note tells."""


class Encoded(np.ndarray[Any, Any]):
    """Rows of a table as the network takes them: nothing is to be done to them any more."""


@dataclass(frozen=True)
class Encoding:
    """A column as numbers.

    A `number` x becomes (x - mean) / std; `fill` stands for a missing one, unless it is None, where that is an error.
    With `indicator` a second number follows, 1 where the first was missing and else 0. A `category` becomes a number
    for each of `values`, 1 for the one that it has; with `own` one more, 1 where the cell is missing, else an error.
    A value that is none of them is 0 in all. With an `embedding` it becomes one number instead, the place among
    `values`, behind them where it is missing, and -1 where it is none of them.
    """

    column: str
    kind: str
    mean: float = 0.0
    std: float = 1.0
    fill: float | None = None
    indicator: bool = False
    values: tuple[str, ...] = ()
    own: bool = False
    embedding: int | None = None

    @property
    def width(self) -> int:
        """How many numbers the column becomes."""
        if self.kind == "number":
            return 1 + self.indicator
        return len(self.values) + self.own if self.embedding is None else 1

    @property
    def told(self) -> str:
        """What the numbers stand for, in words."""
        if self.kind == "category":
            return shown([*self.values, *["missing"] * self.own])
        fill = "" if self.fill is None else f", {self.fill:.6g} where missing"
        return f"mean {self.mean:.6g}, deviation {self.std:.6g}{fill}" + ", whether missing" * self.indicator


# ---------------------------------------------------------------------------------------------------- learning


def learned(table: Table, given: Any, sample_weight: Any = None) -> tuple[Encoding, ...]:
    """How each column of the training set is encoded; with sample weights as if rows were repeated.

    Raises:
        DataError: a column is missing, holds something else than is declared, or never varies; or sample weights are
            not what they should be.
    """
    cells = columns(table, given)
    rows = len(cells[table.names[0]])
    weights = None if sample_weight is None else as_weights(sample_weight, rows, np.float64)
    return tuple(_learned(column, cells[column.name], weights) for column in table.columns)


def _learned(column: Column, cells: Array, weights: Array | None) -> Encoding:
    if isinstance(column.kind, Number):
        return _learned_number(column, column.kind, numbers(cells, column.name), weights)
    assert isinstance(column.kind, Category)
    found = words(cells, column.name)
    return _learned_category(column, column.kind, found if weights is None else found[weights > 0])


def _learned_number(column: Column, kind: Number, given: Array, weights: Array | None) -> Encoding:
    """Mean and standard deviation over all rows that count, the missing ones as they are filled."""
    counts = np.full(len(given), True) if weights is None else weights > 0
    there = counts & ~np.isnan(given)
    if not there.any():
        raise DataError(f"{column.span}: no cell of the column {column.name!r} holds a number: leave it out")
    if isinstance(kind.missing, float):
        fill: float | None = kind.missing
    else:
        of: Mapping[str, Callable[[Array, Array | None], float]] = {"median": median, "mean": mean}
        its = None if weights is None else weights[there]
        fill = of[kind.missing](given[there], its) if kind.missing in of else None
    encoding = Encoding(column.name, "number", fill=fill, indicator=kind.indicator)
    if not kind.standardize:
        return encoding
    filled = _filled(encoding, given)[counts]
    if (filled == filled[0]).all():
        raise DataError(
            f"{column.span}: the column {column.name!r} is {filled[0]:g} in all of the training set and tells nothing: "
            "leave it out, or say standardize=off"
        )
    its = None if weights is None else weights[counts]
    return replace(encoding, mean=mean(filled, its), std=deviation(filled, its))


def _learned_category(column: Column, kind: Category, given: Array) -> Encoding:
    there = [word for word in given if word is not None]
    found = Counter(there)
    values = kind.values
    if values is None:
        if not found:
            raise DataError(f"{column.span}: all cells of the column {column.name!r} are missing: leave it out")
        if len(found) > MOST_VALUES:
            raise DataError(
                f"{column.span}: the column {column.name!r} has {len(found):,} values, and a category at most "
                f"{MOST_VALUES:,}; an identifier tells nothing: leave it out"
            )
        values = in_order(found)
    own = kind.missing == "own"
    unseen = [value for value in values if value not in found]
    if unseen:
        _note(column.name, f"the training set has no {shown(unseen)}: nothing is learned of it")
    if own and len(there) == len(given):
        _note(column.name, "no cell of the training set is missing: nothing is learned of missing=own")
    return Encoding(column.name, "category", values=values, own=own, embedding=kind.embedding)


def in_order(found: Mapping[str, int]) -> tuple[str, ...]:
    """Values by the alphabet, whole numbers by size where all are."""
    if all(value.isdecimal() for value in found):
        return tuple(sorted(found, key=lambda value: (int(value), value)))
    return tuple(sorted(found))


def require_same(table: Table, encodings: Sequence[Encoding]) -> None:
    """Compares how columns were learned with how they are declared.

    Raises:
        DataError: a column is another one, or has other values or numbers.
    """
    declared, known = [_declared(column) for column in table.columns], [_layout(encoding) for encoding in encodings]
    for ours, theirs in zip_longest(declared, known, fillvalue="none"):
        if ours != theirs:
            raise DataError(f"input {table.input}: the weights were trained with {theirs} where the spec has {ours}")


def _declared(column: Column) -> str:
    if isinstance(column.kind, Number):
        return _layout(Encoding(column.name, "number", indicator=column.kind.indicator))
    assert isinstance(column.kind, Category)
    kind = column.kind
    return _layout(
        Encoding(column.name, "category", values=kind.values or (), own=kind.missing == "own", embedding=kind.embedding)
    )


def _layout(encoding: Encoding) -> str:
    """What each of the column's numbers stands for."""
    if encoding.kind == "number":
        return f"{encoding.column}: number" + " with an indicator" * encoding.indicator
    size = "" if encoding.embedding is None else f" embedding={encoding.embedding}"
    return f"{encoding.column}: category({', '.join(encoding.values)})" + " missing=own" * encoding.own + size


# ---------------------------------------------------------------------------------------------------- applying


def encode(table: Table, encodings: Sequence[Encoding], given: Any) -> Encoded:
    """The rows of a table as (n, width) in double precision.

    Raises:
        DataError: a column is missing, or holds something else than is declared; it names column and example.
    """
    cells = columns(table, given)
    parts = [_encoded(encoding, cells[encoding.column]) for encoding in encodings]
    return np.column_stack(parts).view(Encoded)


def _encoded(encoding: Encoding, cells: Array) -> Array:
    if encoding.kind == "category":
        codes = _codes(encoding, words(cells, encoding.column))
        return codes[:, None] if encoding.embedding is not None else _one_hot(encoding.width, codes)
    given = numbers(cells, encoding.column)
    scaled = (_filled(encoding, given) - encoding.mean) / encoding.std
    return np.column_stack([scaled, np.isnan(given)]) if encoding.indicator else scaled[:, None]


def _filled(encoding: Encoding, given: Array) -> Array:
    gone = np.isnan(given)
    if encoding.fill is None:
        _refuse_missing(encoding.column, gone, "declare missing=median, mean or a number")
        return given
    return np.where(gone, encoding.fill, given)


def _codes(encoding: Encoding, given: Array) -> Array:
    """The place of each word among the values (n,): behind them if it is missing, -1 if it is none of them."""
    gone = np.array([word is None for word in given], bool)
    if not encoding.own:
        _refuse_missing(encoding.column, gone, "declare missing=own")
    place = {value: i for i, value in enumerate(encoding.values)}
    codes = np.array([len(place) if word is None else place.get(word, -1) for word in given])
    unknown = Counter(given[codes < 0])
    if unknown:
        told = shown([f"{value!r} ({count} row{'s' * (count > 1)})" for value, count in unknown.most_common()])
        _note(encoding.column, f"not among its values, and 0 in all of them: {told}")
    return codes


def _one_hot(width: int, codes: Array) -> Array:
    found = np.zeros((len(codes), width))
    known = np.flatnonzero(codes >= 0)
    found[known, codes[known]] = 1
    return found


def _refuse_missing(name: str, gone: Array, hint: str) -> None:
    if gone.any():
        more = f"; so are {gone.sum() - 1} more of this column" if gone.sum() > 1 else ""
        raise ExampleError(
            f"{{}}, column {name!r}: is missing: fill it, leave the row out, or {hint}{more}", int(np.argmax(gone))
        )


def _note(column: str, text: str) -> None:
    warnings.warn(f"column {column!r}: {text}", DataNote, stacklevel=6)


def shown(told: Sequence[str]) -> str:
    """The first of them."""
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more
