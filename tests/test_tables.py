"""Tables: every form that people and spreadsheets write gives the same numbers; what is none is told with its line."""

from __future__ import annotations

import csv
import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import DataNote, Dataset, Reading
from dslc.runtime.data.labels import Classes
from dslc.runtime.data.profile import profile

polars = pytest.importorskip("polars")
PLAIN = "size,kind,age\n1.5,ash,2\n-3,elm tree,4e1\n0.25,ash,-6\n"
FORMS = {
    "plain.csv": PLAIN.encode(),
    "UPPER.CSV": PLAIN.encode(),
    "bom.csv": PLAIN.encode("utf-8-sig"),
    "utf16.csv": PLAIN.encode("utf-16"),
    "crlf.csv": PLAIN.replace("\n", "\r\n").encode(),
    "mac.csv": PLAIN.replace("\n", "\r").encode(),
    "tab.tsv": PLAIN.replace(",", "\t").encode(),
    "semicolon.csv": PLAIN.replace(",", ";").encode(),
    "bar.txt": PLAIN.replace(",", "|").encode(),
    "packed.csv.gz": gzip.compress(PLAIN.encode()),
    "no_end.csv": PLAIN.rstrip("\n").encode(),
    "blank.csv": b"\n" + PLAIN.replace("\n", "\n\n").encode() + b"\n\n",
    "comments.csv": b"# measured in May\n" + PLAIN.replace("-3", "# doubtful\n-3").encode(),
    "quotes.csv": PLAIN.replace("elm tree", '"elm tree"').replace("1.5", '"1.5"').encode(),
    "spaces.csv": PLAIN.replace(",", " , ").encode(),
    "excel.csv": b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
    "german.csv": PLAIN.replace(",", ";").replace(".", ",").encode(),
}


def read(path: Path, target: str | None = "kind", **how: object) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return load_dataset(str(path), target, Reading(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FORMS[name])
    found = read(tmp_path / name)
    assert found.train.x.tolist() == [[1.5, 2], [-3, 40], [0.25, -6]]
    assert found.train.y.tolist() == ["ash", "elm tree", "ash"] and found.features == ("size", "age")


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
def test_binary_tables(name: str, tmp_path: Path) -> None:
    frame = polars.DataFrame(
        {"a": [1.5, -3, 0.25], "kind": ["x", "y", "x"], "n": [1, 2, 3], "yes": [True, False, True]}
    )
    (frame.write_parquet if name.endswith("parquet") else frame.write_ipc)(tmp_path / name)
    found = read(tmp_path / name)
    assert found.train.x.tolist() == [[1.5, 1, 1], [-3, 2, 0], [0.25, 3, 1]] and found.train.y.tolist() == [
        "x",
        "y",
        "x",
    ]
    broken = frame.with_columns(polars.Series("n", [1, None, 3]))
    (broken.write_parquet if name.endswith("parquet") else broken.write_ipc)(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}, row 2, column 'n': is missing"):
        read(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / name)


def test_windows_1252_is_noted(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_bytes("size,kind\n1,Fichte\n2,Föhre\n".encode("cp1252"))
    with pytest.warns(DataNote, match="w.csv:3 is not in UTF-8"):
        found = load_dataset(str(tmp_path / "w.csv"), "kind")
    assert found.train.y.tolist() == ["Fichte", "Föhre"]


def test_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("1,2,0\n3,4,1\n")
    found = read(tmp_path / "d.csv", "3", header=False)
    assert found.train.x.tolist() == [[1, 2], [3, 4]] and found.train.y.tolist() == [0, 1]
    with pytest.raises(DataError, match="say --no-header"):
        read(tmp_path / "d.csv", "kind")
    (tmp_path / "d.csv").write_text("1,1,0\n3,4,1\n")
    with pytest.raises(DataError, match=r"2 columns are called '1'.*say --no-header"):
        read(tmp_path / "d.csv", "0")
    assert read(tmp_path / "d.csv", "3", header=False).train.x.tolist() == [[1, 1], [3, 4]]


@pytest.mark.parametrize(("lines", "told"), [(1, "1 line is left out: it begins"), (2, "2 lines are left out: they")])
def test_comments_are_noted(lines: int, told: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("# measured in May\n" * lines + "size,kind\n1,ash\n")
    assert told in read(tmp_path / "d.csv").notes[0]


@pytest.mark.parametrize(
    ("names", "noted"), [("5.1,3,ash", 1), ("7,3,ash", 1), ("0,1,ash", 0), ("1,2,3", 0), ("a,3,ash", 0)]
)
def test_a_first_row_of_numbers_is_noted(names: str, noted: bool, tmp_path: Path) -> None:
    """Where the target is called by a cell of it, the example would be lost in silence."""
    (tmp_path / "d.csv").write_text(f"{names}\n3,4,1\n3,5,2\n")
    found = read(tmp_path / "d.csv", names.rsplit(",", maxsplit=1)[-1]).notes
    assert [note for note in found if "if it is an example, say --no-header" in note] == list(found) and len(
        found
    ) == noted


@pytest.mark.parametrize("cell", ["", "NA", "nan", "?", "null", "abc", "1,015.5", "inf", "0x1F", "2020-01-01"])
@pytest.mark.parametrize("row", [0, 7, 19])
def test_an_odd_cell_is_told_with_its_line(cell: str, row: int, tmp_path: Path) -> None:
    """Whatever stands before it: blank lines, comments, a cell over two lines."""
    quoted = f'"{cell}"' if "," in cell else cell
    rows = [f'{i},{quoted if i == row else i / 2},"a\nb"' for i in range(20)]
    text = "\n".join(["# about", "n,half,kind", "", *rows])
    (tmp_path / "d.csv").write_text(text)
    line = 4 + 2 * row
    assert text.split("\n")[line - 1].startswith(f"{row},{quoted}")
    with pytest.raises(DataError, match=rf"d\.csv:{line}, column 'half': ") as caught:
        read(tmp_path / "d.csv")
    assert "missing" in str(caught.value) if cell in ("", "NA", "nan", "?", "null") else cell in str(caught.value)


@pytest.mark.parametrize("cell", ["", "NA", "?", "nan"])
def test_missing_targets_of_numbers_are_nan(cell: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"x,y\n1,10.5\n2,{cell}\n3,7\n")
    with pytest.warns(DataNote, match=r"1 of 3 targets are missing and do not count, the first at .*d\.csv:3"):
        found = load_dataset(str(tmp_path / "d.csv"), "y", Reading(numbers=True))
    np.testing.assert_array_equal(found.train.y, [10.5, np.nan, 7])
    with pytest.raises(DataError, match=r"d\.csv:3, column 'y': the class is missing"):
        read(tmp_path / "d.csv", "y")


@pytest.mark.parametrize(
    ("cell", "numbers", "words"),
    [
        ('"1,015.5"', True, "separator of thousands: write 1015.5"),
        ('"1,015.5"', False, "separator of thousands: write 1015.5"),
        ("abc", True, "predicts numbers, and 'abc' is none"),
    ],
)
def test_odd_targets(cell: str, numbers: bool, words: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"x,y\n1,10\n2,{cell}\n3,7\n")
    with pytest.raises(DataError, match=rf"d\.csv:3, column 'y': .*{words}"):
        read(tmp_path / "d.csv", "y", numbers=numbers)


def test_a_line_in_a_cell_is_no_comment(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text('n,kind\n1,"a\n#b"\n# left out\n2,c\n')
    assert read(tmp_path / "d.csv").train.y.tolist() == ["a\n#b", "c"]


def test_all_targets_missing(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y\n1,\n2,\n")
    with pytest.raises(DataError, match="all targets are missing"):
        read(tmp_path / "d.csv", "y", numbers=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3\n", r"d\.csv:3 has 1 cells, and the first row 2"),
        ("a,b\n1,2\n\n3,4,5\n", r"d\.csv:4 has 3 cells"),
        ('a,b\n1,2\n3,"4\n5,6\n', r"d\.csv:3: a quote is not closed"),
        ("a,a\n1,2\n", "2 columns are called 'a'"),
        (",b\n0,2\n", "column 1 has no name"),
        ("a,b\n1,\0\n", r"d\.csv:2 is no text"),
        ("a;b\n1,000;2\n3,500;4\n", "may mean 1000 or 1.000"),
        ("a,b\n", "no rows"),
        ("", "no rows"),
        ("#\n", "no rows"),
    ],
)
def test_broken_text(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "d.csv", "b")


def test_a_packed_table_cut_short(tmp_path: Path) -> None:
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(PLAIN.encode())[:-9])
    with pytest.raises(DataError, match="cut short or damaged"):
        read(tmp_path / "d.csv.gz")


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("age,extra,size\n2,9,1\n4,9,3\n")
    with pytest.warns(DataNote, match="not looked at: the column 'extra'"):
        found = load_dataset(str(tmp_path / "d.csv"), None, Reading(columns=("size", "age"), labelled=False))
    assert found.train.x.tolist() == [[1, 2], [3, 4]] and not found.labelled
    with pytest.raises(DataError, match="lacks the column 'weight', which the run was trained with"):
        read(tmp_path / "d.csv", None, columns=("weight", "age"), labelled=False)


def test_origins_are_lines(tmp_path: Path) -> None:
    """Also of a part that was drawn."""
    rows = [f"{i},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "d.csv").write_text("\n".join(["n,kind", *rows]))
    dev = read(tmp_path / "d.csv").with_dev(0).dev
    assert dev is not None
    for i, n in enumerate(dev.x[:, 0]):
        assert dev.origin(i) == f"{tmp_path / 'd.csv'}:{int(n) + 2}"


def test_profile(tmp_path: Path) -> None:
    """Ranges and counts against what was written, and a warning for each thing that a network should not be given."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 50)
    rows = [
        f"{i + 100},7,{random.random():.6f},{'no' if k else 'yes'},{'' if i < 3 else i % 5},{k}"
        for i, k in enumerate(y)
    ]
    (tmp_path / "d.csv").write_text("\n".join(["id,same,fine,copy,gaps,y", *rows]))
    found = {column.name: column for column in profile(str(tmp_path / "d.csv"), "y").columns}
    assert "identifier" in found["id"].warning and found["id"].range == "100 to 149"
    assert "constant" in found["same"].warning and found["same"].distinct == 1
    assert "leak" in found["copy"].warning and found["copy"].kind == "word" and "leak" not in found["gaps"].warning
    assert found["fine"].warning == "" and found["fine"].kind == "number"
    assert found["gaps"].missing == 3 and "missing" in found["gaps"].warning and found["gaps"].distinct == 5
    assert found["y"].warning == "target"


WORD = st.text(st.sampled_from('ab#"\n ,;\t|\u00e9'), min_size=1, max_size=5).map(lambda word: f"w{word.strip()}")
NUMBER = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(NUMBER, WORD, NUMBER), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.lists(st.integers(0, 5), max_size=3),
)
def test_what_python_writes_comes_back(
    tmp_path: Path, rows: list[tuple[float, str, float]], separator: str, end: str, quoting: int, blank: list[int]
) -> None:
    """Whatever stands in the words: separators, quotes, line ends, marks of comments; blank lines lie between."""
    with (tmp_path / "d.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting)
        writer.writerow(["a", "kind", "b"])
        for i, row in enumerate(rows):
            file.write(end * blank.count(i))
            writer.writerow(row)
    found = read(tmp_path / "d.csv")
    assert found.train.x.tolist() == [[a, b] for a, _, b in rows]
    assert found.train.y.tolist() == [word.replace("\r\n", "\n") for _, word, _ in rows]
    lines = (tmp_path / "d.csv").read_bytes().decode().replace("\r\n", "\n").split("\n")
    for i, (a, _, _) in enumerate(rows):
        line = int(str(found.train.origin(i)).rpartition(":")[2])
        assert lines[line - 1].strip('"').startswith(str(a))


def test_labels_that_numbers_would_make_one(tmp_path: Path) -> None:
    """They are words: codes with leading zeros, and one number in two forms. What has one form is a number."""
    table = tmp_path / "t.csv"

    def labels(*cells: str, **how: object) -> list[object]:
        table.write_text("x,k\n" + "".join(f"1,{cell}\n" for cell in cells))
        found: list[object] = read(table, "k", **how).train.y.tolist()
        return found

    assert labels("01", "1", "2") == ["01", "1", "2"] and labels("007", "010") == ["007", "010"]
    assert labels("1", "1.0", "2") == ["1", "1.0", "2"]
    assert labels("12345678901234567", "12345678901234568") == ["12345678901234567", "12345678901234568"]
    assert labels("1.0", "2.0", "1.0") == [1, 2, 1] and labels("0", "10", " 0") == [0, 10, 0]
    assert labels("0.5", "1", "1.0") == [0.5, 1, 1] and labels("01", "1", numbers=True) == [1, 1]
    assert labels("1.0", "1.0", spelled=True) == ["1.0", "1.0"], "the model knows such classes"
    assert [Classes(known).spelled for known in (("01", "1"), ("a", "1.0"), ("1", "2"), (1, 2))] == [1, 1, 0, 0]
    table.write_text("x,k\n1,1\n1,01\n")
    with pytest.warns(DataNote, match="column 'k': classes are told apart as they are written, '01' from '1'"):
        load_dataset(str(table), "k")
