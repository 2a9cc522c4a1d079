"""Tables: CSV in the forms that people and spreadsheets write, Parquet, Arrow. A row is an example, a column a feature
or the target. Nothing is guessed: what is no number is an error with its line, or a label if it is the target's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.column_kinds import missing_of, numbers_of, told_apart, words_of
from dslc.runtime.data.decimal_commas import COMMA
from dslc.runtime.data.delimited import Delimited, is_number, parse
from dslc.runtime.data.examples import Dataset, Reading, Split
from dslc.runtime.data.files import read_whole
from dslc.runtime.data.frames import in_words, listed, quoted
from dslc.runtime.data.sizes import bytes_of

if TYPE_CHECKING:
    from polars import DataFrame, Series

Array = np.ndarray[Any, Any]
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")
ENDINGS = (*TEXT, *PARQUET, *ARROW)
LONGEST_LABEL = 1000
"""Characters of a class's name: all names take as much memory as the longest."""
NUMBER, COPIES = 8, 3
"""Bytes of a number of double precision, and how often it is held: as polars does, by column, and in x."""
THOUSANDS = r"^[+-]?[1-9]\d{0,2}([,' \u00a0\u202f]\d{3})+(\.\d+)?$"
"""Numbers with a comma, an apostrophe or a space (also one that keeps its line, or a narrow one) between thousands."""


@dataclass(frozen=True)
class Table:
    """Columns of words or of numbers. `text` knows the lines of a file that is one."""

    path: Path
    frame: DataFrame
    text: Delimited | None
    notes: tuple[str, ...] = ()

    def __call__(self, place: int) -> str:
        """The file, and the line or row of an example, counted as an editor or a spreadsheet does."""
        return f"{self.path}, row {place + 1}" if self.text is None else f"{self.path}:{self.text.line(place)}"

    def column(self, name: str) -> Series:
        """A column by its name."""
        return self.frame[name]


def reads(path: Path) -> bool:
    """A file whose name ends as tables do."""
    return path.is_file() and path.name.lower().endswith(ENDINGS)


def read(path: Path, how: Reading) -> Dataset:
    """The columns that a model knows, or all but the target, as x (n, columns), and the target as y (n,): numbers, in
    which NaN stands for a missing one, or words. Columns that a spec declares are a frame, as they stand there.

    Raises:
        DataError: with the file, the line and the column.
    """
    table = open_table(path, how.header)
    target = target_of(table, how)
    if how.declared and target in (how.columns or ()):
        raise DataError(f"{path}: the spec declares the column {target!r}, which is the target, as an input")
    columns, notes = features_of(table, how, target)
    x: Any = table.frame.select(columns)
    if not how.declared:
        x, assumed = _matrix(table, columns)
        notes += assumed
    labelled = how.labelled and target is not None
    y, more = targets(table, str(target), how) if labelled else (np.zeros(table.frame.height), ())
    split = Split(x, y, origins=table, weights=weights(table, how))
    notes = (*table.notes, *notes, *more)
    return Dataset(str(path), split, target=target, features=columns, labelled=labelled, notes=notes)


def require_polars(path: Path) -> None:
    """Raises DataError where polars is not installed."""
    try:
        import polars  # noqa: F401
    except ImportError:
        raise DataError(f"{path} is a table; tables are read with polars: pip install 'dslc[data]'") from None


def open_table(path: Path, header: bool = True) -> Table:
    """The table in a file, with its columns as they stand there.

    Raises:
        DataError: it cannot be read, or two columns have one name.
    """
    require_polars(path)
    import polars

    name = path.name.lower()
    if name.endswith(TEXT):
        text = parse(path, header)
        table = Table(path, text.frame, text, text.notes)
    else:
        try:
            table = Table(path, _binary(path), None)
        except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, MemoryError) as error:
            raise DataError(f"cannot read {path}: {(str(error) or 'it is damaged').splitlines()[0]}") from None
    bytes_of(table.frame.shape, NUMBER, str(path))
    if not table.frame.height or not table.frame.width:
        raise DataError(f"{path} holds no rows")
    return table


def _binary(path: Path) -> DataFrame:
    """A Parquet or Arrow file. How many numbers a Parquet announces is looked at before they are unpacked."""
    import polars

    packed = read_whole(path, 1)
    if not path.name.lower().endswith(PARQUET):
        return polars.read_ipc(packed)
    lazy = polars.scan_parquet(packed)
    shape = (lazy.select(polars.len()).collect().item(), len(lazy.collect_schema()))
    bytes_of(shape, COPIES * NUMBER, str(path))
    return polars.read_parquet(packed)


# ------------------------------------------------------------------------------------------------ which columns


def target_of(table: Table, how: Reading) -> str | None:
    """The column of the targets; None where there is none and none is needed.

    Raises:
        DataError: it is not named, or is not there.
    """
    names = table.frame.columns
    if how.target in names:
        return how.target
    if how.labelled or (how.target is not None and how.columns is None):
        wanted = "name the target column" if how.target is None else f"there is no column {how.target!r}: name one"
        raise DataError(
            f"{wanted} of {table.path} with --target; its columns: {listed(names)}{_looks_like_data(names, how)}"
        )
    return None


def _looks_like_data(names: list[str], how: Reading) -> str:
    """What to say where the first row holds numbers."""
    numbers = how.header and any(is_number(name) for name in names)
    return ". If they are data, say --no-header: the columns are then called 1, 2, ..." if numbers else ""


def _lost_row(table: Table, how: Reading, features: tuple[str, ...]) -> tuple[str, ...]:
    """A note where the columns of x are called by numbers, as if an example stood in the place of the names. Columns
    that are counted from 0 or 1 are not meant."""
    if table.text is None or not how.header or not all(map(is_number, features)):
        return ()
    counted = [int(name) for name in table.frame.columns if name.isdecimal()]
    if (
        len(counted) >= len(features)
        and counted[0] in (0, 1)
        and counted == [counted[0] + i for i in range(len(counted))]
    ):
        return ()
    found = f"the first row was taken for names of columns, {listed(table.frame.columns)}"
    return (f"{table.path}: {found}: if it is an example, say --no-header",)


def features_of(table: Table, how: Reading, target: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of x, and what is to be noted of others.

    Raises:
        DataError: one that a model knows is missing, or there is none but the target.
    """
    names = table.frame.columns
    if how.columns is None:
        found = tuple(name for name in names if name not in (target, how.weight))
        if not found:
            raise DataError(f"{table.path} has no column of features: only {in_words(names)}")
        return found, _lost_row(table, how, found)
    missing = [name for name in how.columns if name not in names]
    if missing:
        why = "which the spec declares" if how.declared else "which the run was trained with"
        raise DataError(f"{table.path} lacks {in_words(missing)}, {why}; it has {listed(names)}")
    extra = [name for name in names if name not in how.columns and name not in (target, how.target, how.weight)]
    return how.columns, (f"{table.path}: not looked at: {in_words(extra)}",) if extra else ()


# ------------------------------------------------------------------------------------------------ what they hold


def _matrix(table: Table, columns: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """The columns as numbers (n, columns), and what was assumed."""
    found = [_numbers(table, name) for name in columns]
    return np.column_stack([array for array, _ in found]), tuple(note for _, notes in found for note in notes)


def _numbers(table: Table, name: str) -> tuple[Array, tuple[str, ...]]:
    """A feature as numbers, and what was assumed."""
    column = table.column(name)
    kind, values = numbers_of(column)
    if values is None:
        raise DataError(f"{table.path}, column {quoted(name)}: holds {column.dtype}, and a network takes numbers")
    gone = np.flatnonzero(~np.isfinite(values))
    if len(gone):
        _refuse_no_numbers(table, column, values, gone)
    return values, (f"{table.path}, column {quoted(name)}: true is 1, false is 0",) if kind == "truth" else ()


def _refuse_no_numbers(table: Table, column: Series, values: Array, gone: Array) -> None:
    """The first cell of a feature that is no number, else the first that is missing or infinite."""
    strange = np.flatnonzero(np.isnan(values) & ~missing_of(column))
    if len(strange):
        place = int(strange[0])
        raise DataError(f"{table(place)}, column {quoted(column.name)}: {_no_number(str(column[place]))}")
    cell = column[int(gone[0])]
    found = "is missing" if np.isnan(values[gone[0]]) else f"{cell} is no finite number"
    more = f"; so are {len(gone) - 1} more of this column" if len(gone) > 1 else ""
    raise DataError(f"{table(int(gone[0]))}, column {quoted(column.name)}: {found}: fill it or leave the row out{more}")


def _no_number(cell: str) -> str:
    if re.match(THOUSANDS, cell):
        return f"{quoted(cell)} has a separator of thousands: write {re.sub(r'[^0-9.+-]', '', cell)}"
    if re.match(COMMA, cell):
        return f"{quoted(cell)} has a decimal comma: write {cell.replace(',', '.')}, or part the cells by semicolons"
    hint = "leave the column out, or declare the input as a table in the spec, with this column as a category"
    return f"{quoted(cell)} is no number; {hint}"


def targets(table: Table, name: str, how: Reading) -> tuple[Array, tuple[str, ...]]:
    """The target: numbers, in which NaN stands for a missing one where the network predicts numbers, or words, as
    classes are called, of which none may be missing. Whole numbers are words where they are written in a way that tells
    more classes apart than numbers do: `01` beside `1`.

    Raises:
        DataError: with file, line and column.
    """
    column = table.column(name)
    kind, values = numbers_of(column)
    if values is None:
        raise DataError(f"{table.path}, column {quoted(name)}: holds {column.dtype}; targets are numbers or words")
    gone = missing_of(column)
    if kind == "word":
        _refuse_odd_words(table, column, np.flatnonzero(np.isnan(values) & ~gone), how.numbers)
    if how.numbers:
        return values, _missing_targets(table, name, gone)
    if gone.any():
        place = table(int(np.argmax(gone)))
        raise DataError(f"{place}, column {quoted(name)}: the class is missing: leave the row out")
    words, apart = words_of(column), None
    if kind == "number":
        text = not column.dtype.is_numeric()
        apart = told_apart(words, values) if text else None
        if apart is None and not (text and how.spelled):
            return values, ()
    longest = words.str.len_chars().arg_max()
    if longest is not None and len(words[longest]) > LONGEST_LABEL:
        found = f"a class of {len(words[longest]):,} characters: is there a quote that is not closed?"
        raise DataError(f"{table(longest)}, column {quoted(name)}: {found}")
    note = "" if apart is None else f"classes are told apart as they are written, {apart[0]!r} from {apart[1]!r}"
    notes = (f"{table.path}, column {quoted(name)}: {note}",) if note else ()
    return words.to_numpy().astype(str), notes


def weights(table: Table, how: Reading) -> Array | None:
    """What each row counts, by the column that is named; None where none is. The column of a run's training may be
    missing, and says nothing where there is nothing to judge.

    Raises:
        DataError: there is no such column, or a cell is no number.
    """
    name, columns = how.weight, table.frame.columns
    if name is None or (how.weight_known and (not how.labelled or name not in columns)):
        return None
    if name not in columns:
        raise DataError(f"there is no column {name!r} in {table.path} for --weight; its columns: {', '.join(columns)}")
    return _numbers(table, name)[0]


def _missing_targets(table: Table, name: str, gone: Array) -> tuple[str, ...]:
    if not gone.any():
        return ()
    if gone.all():
        raise DataError(f"{table.path}, column {quoted(name)}: all targets are missing")
    first = table(int(np.argmax(gone)))
    return (f"{gone.sum()} of {len(gone)} targets are missing and do not count, the first at {first}",)


def _refuse_odd_words(table: Table, column: Series, places: Array, numbers: bool) -> None:
    """Words where numbers are wanted, and anywhere numbers with separators of thousands."""
    for place in map(int, places):
        cell = str(column[place])
        if re.match(THOUSANDS, cell) or (numbers and re.match(COMMA, cell)):
            raise DataError(f"{table(place)}, column {quoted(column.name)}: {_no_number(cell)}")
        if numbers:
            found = f"the network predicts numbers, and {quoted(cell)} is none"
            raise DataError(f"{table(place)}, column {quoted(column.name)}: {found}")
