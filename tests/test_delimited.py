"""Delimited text drawn at random, quotes and blank lines in odd places: read as Python's own reader reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dslc.language.diagnostics import DataError
from dslc.runtime.data.delimited import parse

pytest.importorskip("polars")
PLAIN = st.text('a1" #', max_size=3)
QUOTED = st.lists(st.sampled_from(["a", ",", "\n", '""', "#", " "]), max_size=4).map(
    lambda parts: f'"{"".join(parts)}"'
)
ROW = st.lists(PLAIN | QUOTED, min_size=2, max_size=3).map(",".join)
TEXT = st.lists(ROW | st.sampled_from(["", "  ", "# a, comment", '#"']), min_size=1, max_size=6).map("\n".join)


def expected(text: str) -> list[list[str]] | None:
    """The rows as Python reads them, without comments and blank lines; None where they are none, broken or ragged."""
    between = True

    def lines() -> Iterator[str]:
        nonlocal between
        for line in io.StringIO(text):
            if not (between and line.startswith("#")):
                between = False
                yield line

    rows = []
    try:
        for row in csv.reader(lines(), strict=True):
            between = True
            rows += [row] if len(row) > 1 or "".join(row).strip() else []
    except csv.Error:
        return None
    return rows if len({len(row) for row in rows}) == 1 else None


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(text=TEXT, end=st.sampled_from(["", "\n", "\n\n"]))
def test_random_text_is_read_as_python_reads_it(text: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text + end)
    wanted = expected(text + end)
    try:
        found = [[cell or "" for cell in row] for row in parse(tmp_path / "t.csv", header=False).frame.rows()]
    except DataError:
        assert wanted is None
    else:
        assert found == wanted


@pytest.mark.parametrize("text", ["a,b\n1,2,", 'a,b\n"",2,', "a,b\n1,2,\n", "a,b\n1,2\n3"])
def test_ragged_at_the_end(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match="cells, and the first row 2"):
        parse(tmp_path / "t.csv", header=True)


def test_blank_lines_of_a_single_column_are_told(tmp_path: Path) -> None:
    """A blank line may stand for a cell that is missing."""
    (tmp_path / "d.csv").write_text('v\n\n1\n\n""\n3\n\n')
    found = parse(tmp_path / "d.csv", header=True)
    assert found.frame["v"].to_list() == ["1", "", "3"]
    assert found.notes == (f'{tmp_path / "d.csv"}: 2 blank lines left out; a row whose only cell is empty is ""',)
