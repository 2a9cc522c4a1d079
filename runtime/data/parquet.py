"""Parquet files that are larger than memory: the features stay on the disk, the target is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import lazy
from dslc.runtime.data.lazy import LazyArray

if TYPE_CHECKING:
    from polars import DataFrame, LazyFrame

Array = np.ndarray[Any, Any]
ROWS = 16384
"""Rows that are read together."""


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


def head(path: Path) -> tuple[DataFrame, int]:
    """The columns of a file without its rows, and how many there are.

    Raises:
        DataError: it cannot be read.
    """
    import polars

    try:
        found = _scan(path)
        return found.head(0).collect(), int(found.select(polars.len()).collect().item())
    except (polars.exceptions.PolarsError, OSError) as error:
        raise DataError(f"cannot read {path}: {str(error).splitlines()[0]}") from None


def column(path: Path, name: str) -> DataFrame:
    """One column alone."""
    return _scan(path).select(name).collect()


def stays_on_disk(frame: DataFrame, count: int) -> bool:
    """Whether a file with these columns is too large to be taken into memory. Words are always: what they mean is told
    by all of them."""
    plain = all(kind.is_numeric() or str(kind) == "Boolean" for kind in frame.dtypes)
    return plain and count * frame.width * 8 > lazy.ON_DISK
