"""The page of a run, read back: against scikit-learn, against the data, and made again."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dslc.cli.main import run
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.runs.folder import load_run, split_as_trained
from dslc.runtime.training.history import History

scores = pytest.importorskip("sklearn.metrics")
Image = pytest.importorskip("PIL.Image")

SPEC = """
net Tiny {
  input x: 6x5x1
  flatten
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(lr=0.1)
  epochs    3
  batch     16
  seed      5
}
"""


class Page(HTMLParser):
    """The cells of each table under its heading, the addresses of pictures, and everything fetched from outside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.heading, self.tag = "", ""
        self.tables: dict[str, list[list[str]]] = {}
        self.pictures: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        source = dict(attrs).get("src") or dict(attrs).get("href") or ""
        if tag == "img":
            self.pictures.append(source)
        elif source or tag in ("link", "script", "iframe"):
            self.fetched.append(f"{tag} {source}")
        if tag == "tr":
            self.tables.setdefault(self.heading, []).append([])

    def handle_data(self, data: str) -> None:
        if self.tag in ("h1", "h2") and data.strip():
            self.heading = data
        if self.tag in ("th", "td") and data.strip():
            self.tables[self.heading][-1].append(data)


def page(path: str) -> Page:
    return Page(Path(path).read_text("utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained run `r` and its data: images of three classes, hard to tell apart."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x, y = random.random((90, 6, 5, 1)), random.integers(0, 3, 90)
    np.savez("d.npz", x=x[:50], y=y[:50], x_test=x[50:], y_test=y[50:])
    Path("t.net").write_text(SPEC)
    assert run(["train", "t.net", "--data", "d.npz", "--run", "r", "--progress", "none"]) == 0
    return tmp_path


def test_numbers_and_pictures(folder: Path) -> None:
    data, read = np.load("d.npz"), page("r/report.html")
    p = load_run("r", 1).predict(data["x_test"]).astype(np.float64)
    true, predicted = data["y_test"], p.argmax(axis=1)
    matrix = [[int(cell) for cell in row[1:]] for row in read.tables["Confusion matrix"][1:]]
    np.testing.assert_array_equal(matrix, scores.confusion_matrix(true, predicted))
    shown = np.array([[float(cell) for cell in row] for row in read.tables["Classes"][1:]])
    wanted = scores.precision_recall_fscore_support(true, predicted, zero_division=0)
    np.testing.assert_array_equal(shown[:, :2].T, [range(3), wanted[3]])
    np.testing.assert_allclose(shown[:, 2:].T, wanted[:3], atol=6e-5)
    wrong = np.flatnonzero(true != predicted)
    worst = wrong[np.argsort(p[wrong, true[wrong]])][:24]
    assert len(read.pictures) == len(worst) and not read.fetched, "the page needs nothing else"
    for source, at in zip(read.pictures, worst, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))) as image:
            np.testing.assert_allclose(np.asarray(image) / 255, data["x_test"][at, ..., 0], atol=0.5 / 255 + 1e-9)


def test_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes from the run folder alone, wherever one stands; other data give other numbers."""
    before = Path("r/report.html").read_bytes()
    Path("r/report.html").unlink()
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert run(["report", "../r"]) == 0 and Path("../r/report.html").read_bytes() == before
    data = np.load("../d.npz")
    np.savez("other.npz", x=data["x"], y=data["y"], x_test=data["x"], y_test=data["y"])
    assert run(["report", "../r", "--data", "other.npz", "-o", "other.html"]) == 0
    rows = [row[1:] for row in page("other.html").tables["Confusion matrix"][1:]]
    assert sum(int(cell) for row in rows for cell in row) == 50
    assert Path("../r/report.html").read_bytes() == before


def test_data_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the folder itself holds is still shown, and a line says what is not."""
    Path("d.npz").unlink()
    assert run(["report", "r"]) == 0
    assert "curves only" in capsys.readouterr().err
    read = page("r/report.html")
    assert len(read.tables["Epochs"]) == 4 and not {"Results", "Classes", "Confusion matrix"} & set(read.tables)
    Path("r/run.json").unlink()
    assert run(["report", "r"]) == 0 and "does not say with which data" in capsys.readouterr().err


def test_numbers_have_no_classes(folder: Path) -> None:
    """Without images a table of the worst; for a regression neither matrix nor classes."""
    random = np.random.default_rng(1)
    x = random.random((40, 4))
    np.savez("c.npz", x=x, y=random.integers(0, 2, 40))
    np.savez("n.npz", x=x, y=x.sum(axis=1))
    text = SPEC.replace("6x5x1\n  flatten", "4").replace("dense(3) -> softmax", "dense(1) -> %s")
    Path("c.net").write_text(text.replace("cross_entropy", "binary_cross_entropy") % "sigmoid")
    Path("n.net").write_text(text.replace("cross_entropy", "mse") % "linear")
    for name in ("c", "n"):
        assert run(["train", f"{name}.net", "--data", f"{name}.npz", "--run", name, "--progress", "none"]) == 0
    tables = page("c/report.html").tables
    assert len(tables["Classes"]) == 3 and len(tables["Confusion matrix"]) == 3 and tables["Worst examples"]
    assert not page("c/report.html").pictures
    dev = load_dataset("c.npz").with_dev(5).part("dev").x.tolist()
    places = [int(row[0]) for row in tables["Worst examples"][1:]]
    assert all(x[place].tolist() in dev for place in places), "places in x, not in the dev set"
    assert not {"Classes", "Confusion matrix", "Worst examples"} & set(page("n/report.html").tables)


def test_without_pillow(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of the worst stands where the pictures would be, and a line says what to install."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.warns(UserWarning, match=r"pip install 'dslc\[plots\]'"):
        assert run(["report", "r"]) == 0
    read = page("r/report.html")
    assert not read.pictures and len(read.tables["Worst examples"]) > 2


def test_bias_and_variance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the accuracies of scikit-learn on the parts of a split of one's own."""
    command = ["train", "t.net", "--data", "d.npz", "--run", "s", "--split", "70/30", "--progress", "none"]
    assert run(command) == 0
    before = Path("s/report.html").read_bytes()
    assert run(["report", "s"]) == 0 and Path("s/report.html").read_bytes() == before, "the split of the training"
    assert run(["report", "s", "--human-error", "0.05"]) == 0
    read, model = page("s/report.html"), load_run("s", 1)
    parts = split_as_trained(load_dataset("d.npz"), "s", 5).parts
    assert len(parts["dev"].x) == 15
    train, dev, test = (
        1 - scores.accuracy_score(parts[name].y, model.predict(parts[name].x).argmax(axis=1))
        for name in ("train", "dev", "test")
    )
    shown = {row[0]: float(row[2]) for row in read.tables["Bias and variance"]}
    wanted = {"avoidable bias": train - 0.05, "variance": dev - train, "overfitting to the dev set": test - dev}
    assert shown == pytest.approx(wanted, abs=6e-5)
    assert run(["report", "s", "--human-error", "5"]) == 2 and "from 0 to 1" in capsys.readouterr().err


def test_history_comes_back(folder: Path) -> None:
    history = History([{"epoch": 1.0, "loss": 0.1 + 0.2}, {"epoch": 2.0, "loss": float("inf")}], 1, "diverged")
    history.to_csv("h.csv")
    assert History.from_csv("h.csv", 1, "diverged") == history


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("history.csv", "epoch,loss\n1,good\n", "not the history of a training"),
        ("history.csv", "epoch,loss\n1\n", "not the history of a training"),
        ("history.csv", None, "cannot read r/history.csv"),
        ("run.json", "[", "does not hold the metadata"),
        ("run.json", '{"data": "mnist"}', "does not hold the metadata"),
        ("run.json", '{"data": 3, "target": null, "best_epoch": 1, "stopped": ""}', "does not hold the metadata"),
        ("spec.net", None, "not a run folder"),
    ],
)
def test_broken_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: str | None, words: str
) -> None:
    path = Path("r") / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    before = Path("r/report.html").read_bytes()
    assert run(["report", "r"]) == 1
    assert words in capsys.readouterr().err and Path("r/report.html").read_bytes() == before


def test_bad_calls(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status, words in [
        (["r/weights.safetensors"], 1, "is not a run folder"),
        (["r", "--data", "nope"], 1, "no data at nope"),
        (["r", "--data", "mnist"], 1, "expected the shape"),
        (["r", "-o", "/proc/nothing/a.html"], 1, "cannot write"),
        (["r", "--threads", "0"], 2, "at least 1"),
    ]:
        assert run(["report", *arguments]) == status and words in capsys.readouterr().err, arguments


def test_facts(folder: Path) -> None:
    facts = json.loads(Path("r/run.json").read_text())
    assert facts["data"] == str(folder / "d.npz") and facts["stopped"] == "epochs"
    assert re.search(rf"epoch {facts['best_epoch']}\.", Path("r/report.html").read_text())
