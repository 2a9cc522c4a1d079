"""A table that lists image files, with their labels beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import tables
from dslc.runtime.data.column_kinds import words_of
from dslc.runtime.data.delimited import first_rows
from dslc.runtime.data.examples import Dataset, Reading
from dslc.runtime.data.frames import listed, quoted
from dslc.runtime.data.images import Found, read_parts

NAMES = ("file", "filename", "file_name", "path", "filepath", "image")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def reads(path: Path) -> bool:
    """Whether it is a table whose header has a column such as `file`, and image files below it."""
    if not (path.is_file() and path.name.lower().endswith(tables.TEXT)):
        return False
    names, cells = (*first_rows(path), [], [])[:2]
    name = _column(names)
    return name is not None and any(cell.lower().endswith(ENDINGS) for cell in cells)


def read(path: Path, how: Reading) -> Dataset:
    """Stored pixels as x (n, h, w, c), and the labels that `target` names, or the only other column; files are found
    from the table's own folder.

    Raises:
        DataError: a file is missing or broken, with its line; the label's column is not named.
    """
    table = tables.open_table(path)
    name = _column(table.frame.columns)
    assert name is not None
    files = _files(table, name)
    target = _target(table, name, how)
    y, notes = (np.zeros(len(files)), ()) if target is None else tables.targets(table, target, how)
    parts, more = read_parts({"train": Found(files, y, weights=tables.weights(table, how))}, how)
    notes = (*table.notes, *notes, *more)
    return Dataset(str(path), parts["train"], target=target, labelled=target is not None, notes=notes)


def _column(names: list[str]) -> str | None:
    return next((name for name in names if name.strip().lower() in NAMES), None)


def _files(table: tables.Table, name: str) -> tuple[Path, ...]:
    cells = words_of(table.column(name)).to_list()
    files = []
    for place, cell in enumerate(cells):
        file = table.path.parent / cell if cell else None
        if file is None or not file.is_file():
            found = "is missing" if file is None else f"there is no file {file}"
            raise DataError(f"{table(place)}, column {quoted(name)}: {found}")
        files.append(file)
    return tuple(files)


def _target(table: tables.Table, name: str, how: Reading) -> str | None:
    others = [column for column in table.frame.columns if column not in (name, how.weight)]
    if how.target in others:
        return how.target
    if not how.labelled:
        return None
    if how.target is None and len(others) == 1:
        return others[0]
    raise DataError(f"name the column of the labels in {table.path} with --target; its columns: {listed(others)}")
