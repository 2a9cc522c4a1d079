"""Text with a row a line and a separator between cells, as people and spreadsheets write it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dslc.language.diagnostics import DataError
from dslc.runtime.data.decimal_commas import decimal_points
from dslc.runtime.data.files import read_beginning, read_whole
from dslc.runtime.data.frames import quoted

if TYPE_CHECKING:
    from polars import DataFrame

SEPARATORS = ",;\t|"
COMMENT = "#"
BYTE_ORDER = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
BEGINNING = 1 << 16
"""So many bytes are enough to see two rows."""
COPIES = 4
"""So many times as much memory as the text itself takes what is made of it on the way to numbers."""


@dataclass(frozen=True)
class Delimited:
    """The cells of a text as words, and the text itself, by which a row's line is found."""

    path: Path
    text: str
    separator: str
    header: bool
    frame: DataFrame
    notes: tuple[str, ...]

    def line(self, place: int) -> int:
        """The line on which a row begins, as an editor counts."""
        return self._lines[place]

    @cached_property
    def _lines(self) -> list[int]:
        lines = [line for line, cells in records(self.path, self.text, self.separator) if cells]
        return lines[1:] if self.header else lines


def parse(path: Path, header: bool) -> Delimited:
    """The table in a file. Blank lines and lines that begin with # are left out.

    Raises:
        DataError: with the line, where a row has another number of cells than the first, or a name stands twice.
    """
    text, notes = _decoded(path)
    separator, text = _separator(text)
    first, names = _names(path, text, separator, header)
    frame = _frame(path, text, separator, names, first)
    frame = frame[1:] if header else frame
    comments = len(re.findall(f"(?m)^{COMMENT}", text))
    if comments:
        lines = "1 line is left out: it begins" if comments == 1 else f"{comments} lines are left out: they begin"
        notes += (f"{path}: {lines} with {COMMENT}",)
    if len(names) == 1 and (blank := _blank_lines(path, text, separator)):
        notes += (f'{path}: {blank} blank line{"s" * (blank > 1)} left out; a row whose only cell is empty is ""',)
    if separator != ",":
        frame, more = decimal_points(path, frame)
        notes += more
    return Delimited(path, text, separator, header, frame, notes)


def _blank_lines(path: Path, text: str, separator: str) -> int:
    """How many lines before the last row are blank."""
    return sum(not cells for _, cells in records(path, text.rstrip("\n") + "\n", separator))


# ------------------------------------------------------------------------------------------------ bytes to text


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text with one kind of line end."""
    data = read_whole(path, COPIES)
    encoding = _encoding(data)
    notes: tuple[str, ...] = ()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if b"\0" in data:
            raise DataError(f"{path}:{line} is no text: save the table as CSV in UTF-8") from None
        text = data.decode("cp1252", errors="replace")
        notes = (f"{path}:{line} is not in UTF-8; the table was read as Windows-1252, as Excel writes CSV",)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line} is no text: save the table as CSV in UTF-8")
    return _one_line_end(text), notes


def _encoding(data: bytes) -> str:
    return next((name for mark, name in BYTE_ORDER.items() if data.startswith(mark)), "utf-8")


def _one_line_end(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return text if text.endswith("\n") else text + "\n"


def first_rows(path: Path) -> list[list[str]]:
    """The cells of the first two rows, from the beginning of the file, to see what it is; fewer where it is broken."""
    data = read_beginning(path, BEGINNING)
    separator, text = _separator(_one_line_end(data.decode(_encoding(data), errors="replace")))
    try:
        return list(islice((cells for _, cells in records(path, text, separator) if cells), 2))
    except DataError:
        return []


def _separator(text: str) -> tuple[str, str]:
    """The separator, and the text, without Excel's line that names it. The first line that is no comment tells."""
    said = re.match(f'"?sep=([{SEPARATORS}])"?\n', text)
    if said:
        return said[1], text[said.end() - 1 :]  # its line end stays: lines are counted
    first = re.search(f"(?m)^(?!{COMMENT}).*\\S.*$", text)
    bare = re.sub(r'"[^"]*"', "", first[0] if first else "")
    return max(SEPARATORS, key=bare.count), text


# ------------------------------------------------------------------------------------------------ text to cells


def records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's first line and its cells, as Python's own reader finds them; a blank line has no cells.

    Raises:
        DataError: with the line, where a quote is not closed.
    """
    between, number, begins = True, 0, 1

    def lines() -> Iterator[str]:
        nonlocal between, number, begins
        for line in io.StringIO(text):
            number += 1
            if between and line.startswith(COMMENT):
                continue
            if between:
                begins = number
            between = False
            yield line

    try:
        for cells in csv.reader(lines(), delimiter=separator, strict=True):
            between = True
            yield begins, cells if len(cells) != 1 or not cells[0] or cells[0].strip() else []
    except csv.Error as error:
        raise DataError(f"{path}:{begins}: {_broken_quote(str(error))}") from None


def _broken_quote(error: str) -> str:
    if "field larger" in error:
        return f"a cell has more than {csv.field_size_limit():,} characters: is there a quote that is not closed?"
    return f"a quote is not closed, or text stands behind it ({error})"


def _names(path: Path, text: str, separator: str, header: bool) -> tuple[int, list[str]]:
    """The first row's line, and the columns' names: those that it gives, or numbers from 1."""
    line, cells = next(((line, cells) for line, cells in records(path, text, separator) if cells), (1, []))
    if not header:
        return line, [str(i + 1) for i in range(len(cells))]
    names = [cell.strip() for cell in cells]
    for name, count in Counter(names).items():
        if count > 1 and name:
            example = ", or say --no-header if this row is an example" if is_number(name) else ""
            raise DataError(
                f"{path}:{line}: {count} columns are called {quoted(name)}: give each a name of its own{example}"
            )
    if "" in names:
        at = names.index("") + 1
        raise DataError(
            f"{path}:{line}: column {at} has no name; if it counts the rows, leave it out (pandas: index=False)"
        )
    return line, names


def is_number(word: str) -> bool:
    """Whether a name of a column is a number, as cells of examples are."""
    try:
        float(word.replace(",", "."))
        return True
    except ValueError:
        return False


def _frame(path: Path, text: str, separator: str, names: list[str], first: int) -> DataFrame:
    """All cells from the line `first` on as words; nothing where a cell is empty."""
    import polars

    if not names:
        raise DataError(f"{path} holds no rows")
    if _has_stray_quotes(text, separator):
        return _frame_by_row(path, text, separator, names)
    try:
        frame = polars.read_csv(
            text[_start_of(text, first) :].encode(),
            separator=separator,
            has_header=False,
            infer_schema=False,
            comment_prefix=COMMENT,
            schema={name: polars.String for name in names},
        )
    except polars.exceptions.PolarsError:
        return _frame_by_row(path, text, separator, names)
    if frame.height and frame[names[-1]].null_count():  # a short row looks like one with empty cells at its end
        blank = _refuse_ragged(path, text, separator, len(names))
        keep = [not empty for empty in blank]
        if len(keep) == frame.height:
            frame = frame.filter(polars.Series(keep, dtype=polars.Boolean))
        elif sum(keep) != frame.height:
            return _frame_by_row(path, text, separator, names)
    return frame


def _has_stray_quotes(text: str, separator: str) -> bool:
    """Whether there are quotes but around cells, as in `5" pipe`: to Python's reader they are part of the cell, and
    polars would look for their partners."""
    quoted_cell = rf'(?m)(?:^|{re.escape(separator)})"(?:[^"]|"")*+"(?={re.escape(separator)}|$)'
    return '"' in text and '"' in re.sub(quoted_cell, separator, text)


def _frame_by_row(path: Path, text: str, separator: str, names: list[str]) -> DataFrame:
    """The same by Python's reader, which is slower and has the last word.

    Raises:
        DataError: as `parse`.
    """
    import polars

    _refuse_ragged(path, text, separator, len(names))
    rows = [[cell or None for cell in cells] for _, cells in records(path, text, separator) if cells]
    return polars.DataFrame(rows, schema={name: polars.String for name in names}, orient="row")


def _start_of(text: str, line: int) -> int:
    """Where a line begins."""
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start


def _refuse_ragged(path: Path, text: str, separator: str, width: int) -> list[bool]:
    """Which rows are blank lines, from the first on that is none."""
    blank: list[bool] = []
    for line, cells in records(path, text, separator):
        if cells and len(cells) != width:
            raise DataError(f"{path}:{line} has {len(cells)} cells, and the first row {width}")
        if cells or blank:
            blank.append(not cells)
    return blank
