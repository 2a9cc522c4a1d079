"""The page of a run, read back: against scikit-learn, against the data, and made again."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from dslc.cli.main import run
from dslc.runtime.analysis.calibration import calibrate
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.runs.environment import repeating
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
        self.pictures: dict[str, list[str]] = {}
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        source = dict(attrs).get("src") or dict(attrs).get("href") or ""
        if tag == "img":
            assert source.startswith("data:image/")
            self.pictures.setdefault(self.heading, []).append(source)
        elif (source and not source.startswith("#")) or tag in ("link", "iframe"):
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
    pictures = read.pictures["Worst examples"]
    assert len(pictures) == len(worst) and not read.fetched, "the page needs nothing else"
    for source, at in zip(pictures, worst, strict=True):
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
    assert not {"Worst examples", "What the layers see"} & set(page("c/report.html").pictures)
    dev = load_dataset("c.npz").with_dev(5).part("dev").x.tolist()
    places = [int(row[0]) for row in tables["Worst examples"][1:]]
    assert all(x[place].tolist() in dev for place in places), "places in x, not in the dev set"
    regression = page("n/report.html")
    assert not {"Classes", "Confusion matrix", "Worst examples"} & set(regression.tables)
    part = load_dataset("n.npz").with_dev(5).part("dev")
    said = load_run("n", 1).predict(part.x)[:, 0]
    assert f"R² is {scores.r2_score(part.y, said):.4f}" in Path("n/report.html").read_text("utf-8")
    order = np.argsort(np.abs(said - part.y))[::-1]
    worst = next(row for row in regression.tables["Residuals"] if row[0].isdigit())
    assert int(worst[0]) == part.places[order[0]] and float(worst[2]) == pytest.approx(said[order[0]], rel=1e-4)


def test_without_pillow(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of the worst stands where the pictures would be, and a line says what to install."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.warns(UserWarning, match=r"pip install 'dslc\[plots\]'"):
        assert run(["report", "r"]) == 0
    read = page("r/report.html")
    assert list(read.pictures) == ["Network"] and len(read.tables["Worst examples"]) > 2


def test_without_vega(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the charts, and a line that says what to install; nothing is run then."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.warns(UserWarning, match=r"pip install 'dslc\[report\]'"):
        assert run(["report", "r"]) == 0
    text = Path("r/report.html").read_text("utf-8")
    assert "<script" not in text and "dslc[report]" in text and page("r/report.html").tables["Results"]


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


def test_calibration() -> None:
    """As scikit-learn's calibration_curve, and the error from its definition."""
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    random = np.random.default_rng(3)
    p = random.random(500)
    right = random.random(500) < p**2
    found = calibrate(p, right)
    share, mean = curve(right, p, n_bins=10)
    np.testing.assert_allclose([[b.right, b.probability] for b in found.bins], np.stack([share, mean], axis=1))
    counts = np.histogram(p, bins=np.linspace(0, 1, 11))[0]
    assert found.error == pytest.approx(np.average(np.abs(share - mean), weights=counts))


def test_histograms(folder: Path) -> None:
    """They count what NumPy counts, change nothing of the training, go on with it, and are in the report."""
    command = ["train", "t.net", "--data", "d.npz", "--progress", "none", "--run", "h", "--histograms"]
    assert run([*command, "--epochs", "2"]) == 0
    assert (
        run(
            [
                "train",
                "t.net",
                "--data",
                "d.npz",
                "--progress",
                "none",
                "--resume",
                "h",
                "--epochs",
                "1",
                "--histograms",
            ]
        )
        == 0
    )
    records = json.loads(Path("h/histograms.json").read_text())["records"]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    other = load_run("r", 1)
    other.resume("r/checkpoint")
    last = load_run("h", 1)
    last.resume("h/checkpoint")
    assert last.compiled.step == other.compiled.step
    with safe_open("h/checkpoint", "np") as with_them, safe_open("r/checkpoint", "np") as without:
        weight = with_them.get_tensor("last/dense1.weight")
        np.testing.assert_array_equal(weight, without.get_tensor("last/dense1.weight"))
    low, high, counts = records[-1]["weights"]["dense1.weight"]
    assert (low, high) == pytest.approx((weight.min(), weight.max()), rel=1e-5)
    assert counts == np.histogram(weight, bins=24)[0].tolist()
    assert sum(records[0]["gradients"]["dense1.weight"][2]) == weight.size
    assert 'id="gradients-0"' in Path("h/report.html").read_text("utf-8")


def test_the_command_repeats_the_run(folder: Path) -> None:
    """Without the name of the folder, which is taken; the page shows it with machine, versions and every setting."""
    assert (
        json.loads(Path("r/run.json").read_text())["environment"]["command"]
        == "dslc train t.net --data d.npz --progress none"
    )
    settings = dict(row for row in page("r/report.html").tables["Settings"] if len(row) == 2)
    assert settings["optimizer"] == "sgd(lr=0.1, momentum=0, nesterov=off, weight_decay=0)" and settings["seed"] == "5"
    assert settings["examples"].startswith("train 45, dev 5, test 40") and "Python" in settings["versions"]
    assert repeating(["train", "a b.net", "--run=x", "--overwrite"]) == "dslc train 'a b.net'"


@pytest.mark.slow
def test_charts_are_drawn(folder: Path) -> None:
    """In a browser, with hostile names of classes: every chart becomes an SVG, and no script of theirs runs."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    random, names = np.random.default_rng(0), np.array(["</script><script>document.title='bad'</script>", "'\"\\", "c"])
    y = names[random.integers(0, 3, 90)]
    np.savez("w.npz", x=random.random((90, 6, 5, 1)), y=y)
    assert run(["train", "t.net", "--data", "w.npz", "--run", "w", "--progress", "none"]) == 0
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    shown = subprocess.run([*command, "w/report.html"], capture_output=True, timeout=120, check=True).stdout.decode()
    charts = re.findall(r'class="chart[^"]*" id="([a-z]+-[0-9]+)"', shown)
    assert len(charts) > 6 and shown.count('<svg xmlns="http://www.w3.org/2000/svg"') == len(charts)
    assert "<title>Tiny: report of a run</title>" in shown


def test_history_comes_back(folder: Path) -> None:
    history = History([{"epoch": 1.0, "loss": 0.1 + 0.2}, {"epoch": 2.0, "loss": float("inf")}], 1, "diverged")
    history.to_csv("h.csv")
    assert History.from_csv("h.csv", 1, "diverged") == history


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("history.csv", "epoch,loss\n1,good\n", "not the history of a training"),
        ("history.csv", "epoch,loss\n1\n", "not the history of a training"),
        ("history.csv", 'epoch,loss\n1,"2\n', "not the history of a training"),
        ("history.csv", None, "cannot read r/history.csv"),
        ("run.json", "[" * 100_000, "r/run.json is damaged: delete it"),
        ("split.json", "[" * 100_000, "r/split.json is damaged: how the data were split is not known"),
        ("split.json", '{"seed": 0}', "r/split.json is damaged: how the data were split is not known"),
        ("run.json", "[", "r/run.json is damaged: delete it"),
        ("run.json", '{"data": "mnist"}', "r/run.json is damaged: delete it"),
        (
            "run.json",
            '{"data": 3, "target": null, "best_epoch": 1, "stopped": ""}',
            "r/run.json is damaged: delete it",
        ),
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
