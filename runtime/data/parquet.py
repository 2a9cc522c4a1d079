"""Parquet files that are larger than memory: the features stay on the disk, the target is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import lazy, tables
from dslc.runtime.data.examples import Dataset, Reading, Split
from dslc.runtime.data.lazy import LazyArray
from dslc.runtime.data.sizes import require_memory
from dslc.runtime.data.tables import Table

if TYPE_CHECKING:
    from polars import DataFrame, LazyFrame

Array = np.ndarray[Any, Any]
ROWS = 16384
"""Rows that are read together."""
BOMB = 100
"""A file that takes so many times its size in memory was not made from data."""


class ParquetRows(LazyArray):
    """Columns of numbers or truth values of a Parquet file as (n, columns), in double precision. A missing cell is an
    error when it is read."""

    def __init__(self, path: Path, columns: tuple[str, ...], count: int) -> None:
        self.path, self.columns = path, columns
        self.shape, self.dtype = (count, len(columns)), np.dtype(np.float64)

    @property
    def block(self) -> int:
        """As many as are read together."""
        return ROWS

    def rows(self, at: Array) -> Array:
        """These rows; each group of neighbours is read once.

        Raises:
            DataError: a cell is missing or not finite; it names row and column.
        """
        found = np.empty((len(at), len(self.columns)))
        groups = at // ROWS
        for group in np.unique(groups):
            inside = groups == group
            found[inside] = self._group(int(group))[at[inside] - group * ROWS]
        return found

    def _group(self, number: int) -> Array:
        import polars

        try:
            part = _scan(self.path).select(self.columns).slice(number * ROWS, ROWS).collect()
        except (polars.exceptions.PolarsError, OSError) as error:
            raise DataError(f"cannot read {self.path}: {str(error).splitlines()[0]}") from None
        numbers: Array = part.cast(polars.Float64).fill_null(math.nan).to_numpy()
        bad = np.argwhere(~np.isfinite(numbers))
        if len(bad):
            row, column = map(int, bad[0])
            cell = part.row(row)[column]
            words = "is missing" if cell is None or cell != cell else f"{cell} is no finite number"
            place = f"{self.path}, row {number * ROWS + row + 1}, column {self.columns[column]!r}"
            raise DataError(f"{place}: {words}: fill it or leave the row out")
        return numbers


def _scan(path: Path) -> LazyFrame:
    import polars

    return polars.scan_parquet(path, glob=False)


def reads(path: Path) -> bool:
    """A Parquet file that is too large to be taken into memory."""
    if not path.is_file() or not path.name.lower().endswith(tables.PARQUET):
        return False
    tables.require_polars(path)
    frame, count = _head(path)
    size = count * frame.width * 8
    if size > BOMB * path.stat().st_size:  # all of it may be one group of rows, which is read at once
        require_memory(size, f"{path} announces {count:,} rows of {frame.width} columns")
    return size > lazy.ON_DISK


def read(path: Path, how: Reading) -> Dataset:
    """The features as a lazy array, the target and the sample weights in memory. A file with words among the features,
    or whose columns are declared, is read whole: what they mean is told by all of them.

    Raises:
        DataError: it cannot be read, or a column or target is missing; it names the place.
    """
    if how.declared:
        return tables.read(path, how)
    frame, count = _head(path)
    table = Table(path, frame, None)
    target = tables.target_of(table, how)
    columns, notes = tables.features_of(table, how, target)
    truth = [name for name in columns if str(frame[name].dtype) == "Boolean"]
    if not all(name in truth or frame[name].dtype.is_numeric() for name in columns):
        return tables.read(path, how)
    notes += tuple(f"{path}, column {name!r}: true is 1, false is 0" for name in truth)
    y: Array = np.zeros(count)
    more: tuple[str, ...] = ()
    if labelled := how.labelled and target is not None:
        whole = Table(path, _scan(path).select(target).collect(), None)
        y, more = tables.targets(whole, str(target), how)
    weighing = [name for name in frame.columns if name == how.weight]
    weights = tables.weights(Table(path, _scan(path).select(weighing).collect(), None), how)
    split = Split(ParquetRows(path, columns, count), y, origins=table, weights=weights)
    return Dataset(str(path), split, target=target, features=columns, labelled=labelled, notes=(*notes, *more))


def _head(path: Path) -> tuple[DataFrame, int]:
    """The columns of a file without its rows, and how many there are."""
    import polars

    try:
        found = _scan(path)
        return found.head(0).collect(), int(found.select(polars.len()).collect().item())
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
