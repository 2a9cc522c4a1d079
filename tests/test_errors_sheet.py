"""Error analysis: what is wrong, how wrong, its picture, and the tally of what a person wrote."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run
from dslc.language.diagnostics import DataError
from dslc.runtime.analysis.mistakes import answers, find_mistakes, read_tags, tally
from dslc.runtime.analysis.pictures import SIDE, as_png, pictures_of, sheet
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.model import Model

Image = pytest.importorskip("PIL.Image")

SPEC = """
net Tiny {
  input x: %s
  %s
}
train {
  loss      %s
  optimizer sgd(lr=0.1)
  epochs    1
  batch     16
  seed      5
}
"""
IMAGES = SPEC % ("6x5x1", "flatten\n  dense(3) -> softmax", "cross_entropy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the weights of a network that never learned, and data: images of three classes."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x, y = random.random((60, 6, 5, 1)), random.integers(0, 3, 60)
    np.savez("d.npz", x=x, y=y, x_test=x[:30], y_test=y[:30])
    dslc.loads(IMAGES).save("w.safetensors")
    return tmp_path


def rows_of(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_worst_in_numpy(folder: Path) -> None:
    model, data = dslc.loads(IMAGES), np.load("d.npz")
    p = model.predict(data["x"]).astype(np.float64)
    wrong = np.flatnonzero(p.argmax(axis=1) != data["y"])
    losses = -np.log(p[wrong, data["y"][wrong]])
    wanted = wrong[np.argsort(-losses)]
    found = find_mistakes(model, data["x"], data["y"], 7)
    assert (found.wrong, found.examples) == (len(wrong), 60) and found.rate == len(wrong) / 60
    assert [m.index for m in found.worst] == list(wanted[:7])
    for m in found.worst:
        assert m.true == str(data["y"][m.index]) and m.predicted == str(p[m.index].argmax())
        assert m.probability == pytest.approx(p[m.index].max(), rel=1e-6)
        assert m.loss == pytest.approx(-np.log(p[m.index, data["y"][m.index]]), rel=1e-5)


def test_yes_or_no_with_missing_answers() -> None:
    """Two questions an example; what nobody answered cannot be wrong, nor does it lower the probability."""
    head = dslc.loads(SPEC % ("2", "dense(2) -> sigmoid", "binary_cross_entropy")).network.heads[0]
    output = np.array([[0.9, 0.2], [0.9, 0.2], [0.4, 0.7]])
    target = np.array([[1, 0], [1, 1], [np.nan, 0]])
    found = answers(head, output, target)
    assert found.wrong.tolist() == [1, 2]
    np.testing.assert_allclose(found.probability, [0.9 * 0.8, 0.9 * 0.8, 0.7])


def test_refused() -> None:
    x = np.zeros((3, 2))
    with pytest.raises(DataError, match="predicts numbers, not classes"):
        find_mistakes(dslc.loads(SPEC % ("2", "dense(1)  -> linear", "mse")), x, np.zeros(3), 5)
    two = SPEC.replace("%s\n}\ntrain", "a = dense(2)\n  output p = a -> softmax\n  output q = a -> linear\n}\ntrain")
    text = two % ("2", "p: cross_entropy\n  loss q: mse")
    with pytest.raises(DataError, match="several: p, q"):
        find_mistakes(dslc.loads(text), x, {"p": np.zeros(3), "q": np.zeros((3, 2))}, 5)


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The test part; then the dev part, a tenth drawn as in training, whose index counts in all of x."""
    assert run(["errors", "w.safetensors", "--data", "d.npz", "--part", "test", "-o", "e", "--most", "4"]) == 0
    told = capsys.readouterr()
    rows, data = rows_of("e/errors.csv"), np.load("d.npz")
    p = dslc.loads(IMAGES).predict(data["x_test"])
    wrong = int((p.argmax(axis=1) != data["y_test"]).sum())
    assert f"test: {wrong} of 30 examples are wrong" in told.out and f"--most {wrong} takes all" in told.err
    assert list(rows[0]) == ["index", "true", "predicted", "probability", "loss", "tags"] and len(rows) == 4
    assert {row["tags"] for row in rows} == {""}
    assert all(row["predicted"] == str(p[int(row["index"])].argmax()) for row in rows)
    with Image.open("e/errors.png") as image:
        assert image.format == "PNG" and image.width > 2 * 90 and image.height > 2 * 110
    assert run(["errors", "w.safetensors", "--data", "d.npz"]) == 0
    dev = load_dataset("d.npz").with_dev(5).part("dev").x.tolist()
    for row in rows_of("errors/errors.csv"):
        place = int(row["index"])
        assert data["x"][place].tolist() in dev and row["true"] == str(data["y"][place])


def test_no_images_no_sheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dslc.loads(SPEC % ("4", "dense(3) -> softmax", "cross_entropy")).save("v.safetensors")
    np.savez("v.npz", x=np.random.default_rng(0).random((40, 4)), y=np.arange(40) % 3)
    assert run(["errors", "v.safetensors", "--data", "v.npz", "--part", "train", "-o", "e"]) == 0
    assert "a table only" in capsys.readouterr().err and [p.name for p in Path("e").iterdir()] == ["errors.csv"]


def test_without_pillow(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run(["errors", "w.safetensors", "--data", "d.npz", "-o", "e"]) == 0
    assert "pip install 'dslc[plots]'" in capsys.readouterr().err
    assert [p.name for p in Path("e").iterdir()] == ["errors.csv"]


def test_tags_are_not_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["errors", "w.safetensors", "--data", "d.npz", "-o", "e"]
    assert run(command) == 0 and run(command) == 0
    text = Path("e/errors.csv").read_text().replace(",\n", ",blurred\n", 1)
    Path("e/errors.csv").write_text(text)
    assert run(command) == 1
    assert "has tags in 1 of its rows" in capsys.readouterr().err and Path("e/errors.csv").read_text() == text


@pytest.mark.parametrize(("delimiter", "start"), [(",", ""), (";", "\ufeff"), ("\t", "")])
def test_tally(folder: Path, capsys: pytest.CaptureFixture[str], delimiter: str, start: str) -> None:
    """The example of the notes' course: 8 dogs, 43 great cats and 61 blurred of 100, in an order of their own."""
    cells = ["dog"] * 8 + ["great cat"] * 31 + ["great cat; Blurred"] * 12 + ["blurred , blurred"] * 49
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([["index", "tags", "note"], *([i, cell, "x"] for i, cell in enumerate([*cells, ""]))])
    Path("t.csv").write_text(start + text.getvalue(), "utf-8")
    causes = tally(read_tags(Path("t.csv")))
    assert [(c.tag, c.errors, c.share) for c in causes] == [
        ("blurred", 61, 0.61), ("great cat", 43, 0.43), ("dog", 8, 0.08),
    ]  # fmt: skip
    assert run(["errors", "--tally", "t.csv", "--error-rate", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert "100 of 101 errors have tags" in shown and "8.0%                  0.092" in shown
    assert run(["errors", "--tally", "t.csv"]) == 0 and "92.0% of the errors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "name a run, as in"),
        (["w.safetensors"], 2, "name data, as in --data mnist"),
        (["w.safetensors", "--data", "d.npz", "--tally", "d.npz"], 2, "without RUN"),
        (["w.safetensors", "--data", "d.npz", "--error-rate", "0.1"], 2, "goes with --tally"),
        (["w.safetensors", "--data", "d.npz", "--most", "0"], 2, "--most must be at least 1"),
        (["w.safetensors", "--data", "n.npz", "--part", "test"], 1, "n.npz has no test set"),
        (["--tally", "nope.csv"], 1, "cannot read nope.csv"),
        (["--tally", "d.npz"], 1, "not a text table"),
        (["--tally", "other.csv"], 1, "no rows with a column 'tags'"),
        (["--tally", "empty.csv"], 1, "no row of empty.csv has a tag yet"),
        (["--tally", "empty.csv", "--error-rate", "4"], 2, "a share above 0 and up to 1"),
    ],
)
def test_bad_calls(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    np.savez("n.npz", x=np.zeros((5, 6, 5, 1)), y=np.zeros(5))
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("empty.csv").write_text("index,tags\n1,\n")
    before = sorted(folder.rglob("*"))
    assert run(["errors", *arguments]) == status
    assert words in capsys.readouterr().err and sorted(folder.rglob("*")) == before


def test_pictures() -> None:
    """What is an image, and its brightness: 0 black and 1 white, unless the data reach further."""

    def network(shape: str) -> dslc.Network:
        return Model(dslc.loads(SPEC % (shape, "flatten\n dense(2) -> softmax", "cross_entropy")).network).network

    gray, row, deep = network("2x2x1"), network("4"), network("2x2x5")
    x = np.array([[0.0, 0.5, 1.0, 0.2]])
    found = pictures_of(gray, x)
    assert found is not None and found.shape == (1, 2, 2, 1) and found.ravel().tolist() == [0, 128, 255, 51]
    assert pictures_of(row, x) is None and pictures_of(deep, np.zeros((1, 2, 2, 5))) is None
    wide = pictures_of(row, np.array([[[-1.0, 1.0], [3.0, 0.0]]]))
    assert wide is not None and wide.ravel().tolist() == [0, 128, 255, 64]
    with Image.open(io.BytesIO(sheet(found, [("0 -> 1", "p = 0.50")]))) as page:
        half = SIDE // 2
        inside = [
            page.getpixel((12 + half // 2 + half * i, 12 + half // 2 + half * j))[0] for j in (0, 1) for i in (0, 1)
        ]
    assert inside == [0, 128, 255, 51]


def test_large_pictures_in_color() -> None:
    """Made smaller, in their own proportions; twelve stand four by three."""
    red = np.zeros((12, 120, 240, 3), np.uint8)
    red[..., 0] = 200
    with Image.open(io.BytesIO(as_png(red[0]))) as image:
        assert image.size == (SIDE, SIDE // 2) and image.getpixel((9, 9)) == (200, 0, 0)
    with Image.open(io.BytesIO(sheet(red, [("a", "b")] * 12))) as page:
        assert page.getpixel((20, 20)) == (200, 0, 0) and page.width > 4 * SIDE > page.height
