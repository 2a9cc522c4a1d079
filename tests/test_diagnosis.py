"""Bias and variance on the numbers of the course that the notes sum up (Ng, 'Structuring Machine Learning Projects':
'Bias and variance with mismatched data distributions', 'Understanding human-level performance')."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run
from dslc.compiler import check_text
from dslc.runtime.analysis.comparison import Row, RunToCompare, differences
from dslc.runtime.analysis.diagnosis import Errors, diagnose, worst
from dslc.runtime.analysis.learning_curve import sizes_up_to
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.splits import stratified_order
from dslc.runtime.training.history import History


@pytest.mark.parametrize(
    ("errors", "sizes", "first"),
    [
        (Errors(0.01, 0.08, 0.10), (0.07, 0.02), "avoidable bias"),
        (Errors(0.075, 0.08, 0.10), (0.005, 0.02), "variance"),
        (Errors(0, 0.01, 0.10, train_dev=0.09), (0.01, 0.08, 0.01), "variance"),
        (Errors(0, 0.01, 0.10, train_dev=0.015), (0.01, 0.005, 0.085), "data mismatch"),
        (Errors(0, 0.10, 0.12, train_dev=0.11), (0.10, 0.01, 0.01), "avoidable bias"),
        (Errors(0, 0.10, 0.20, train_dev=0.11), (0.10, 0.01, 0.09), "avoidable bias"),
        (Errors(0.04, 0.07, 0.12, train_dev=0.10, test=0.12), (0.03, 0.03, 0.02, 0), "avoidable bias"),
        (Errors(0.04, 0.07, 0.06, train_dev=0.10, test=0.06), (0.03, 0.03, -0.04, 0), "avoidable bias"),
        (Errors(0.01, 0.01, 0.02, test=0.09), (0, 0.01, 0.07), "overfitting to the dev set"),
    ],
)
def test_gaps(errors: Errors, sizes: tuple[float, ...], first: str) -> None:
    gaps = diagnose(errors)
    assert [gap.size for gap in gaps] == pytest.approx(sizes)
    found = worst(gaps)
    assert found is not None and found.name == first and found.advice


SPEC = """param width = 4
net Blobs {
  input x: 2
  dense(width) -> relu
  dense(4) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.05)
  batch 16
  epochs 2
}
"""


def test_learning_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each point is what `fit` and `evaluate` say of a fresh network on a part that holds the smaller ones."""
    monkeypatch.chdir(tmp_path)
    Path("b.net").write_text(SPEC)
    assert run(["curve", "b.net", "--data", "blobs", "--at", "300,40", "--human-error", "0.1", "-o", "c.csv"]) == 0
    assert "40 examples: train" in capsys.readouterr().err
    (first, *row), (second, *_) = (map(float, line.split(",")) for line in Path("c.csv").read_text().splitlines()[1:])
    assert (first, second) == (40, 300)
    model = dslc.load("b.net")
    dataset = load_dataset("blobs").with_dev(model.seed)
    train, dev = dataset.train, dataset.dev
    order = stratified_order(train.y, model.seed)
    at = np.sort(order[:40])
    assert set(at) < set(order[:300]) and np.unique(train.y[at], return_counts=True)[1].min() >= 9
    model.fit(train.x[at], train.y[at], dev.given)
    wrong = [1 - model.evaluate(x, y)["accuracy"] for x, y in ((train.x[at], train.y[at]), dev.given)]
    assert row == pytest.approx([*wrong, wrong[0] - 0.1, wrong[1] - wrong[0]])
    assert sizes_up_to(1000, 3) == (50, 224, 1000) and sizes_up_to(12, 5) == (10, 11, 12)
    for arguments, status, words in [
        (["--at", "5000"], 1, "the training set has"),
        (["--at", "a"], 2, "--at wants sizes"),
        (["--steps", "1"], 2, "at least 2"),
        (["-o", "c.png"], 2, "an .html or a .csv"),
    ]:
        assert run(["curve", "b.net", "--data", "blobs", *arguments]) == status
        assert words in capsys.readouterr().err


def test_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The settings that differ and no others, the numbers of the kept epoch with the best marked, and their page."""
    monkeypatch.chdir(tmp_path)
    Path("b.net").write_text(SPEC)
    train = ["train", "b.net", "--data", "blobs", "--progress", "none", "--run"]
    assert run([*train, "a"]) == 0 and run([*train, "b", "-D", "width=8", "--lr", "0.1"]) == 0
    capsys.readouterr()
    assert run(["compare", "a", "b", "-o", "ab.html"]) == 0
    settings, numbers = capsys.readouterr().out.split("\n\n")
    assert [line.split()[0] for line in settings.splitlines()[2:]] == ["parameters", "width", "optimizer"]
    assert re.search(r"^parameters +32 +60$", settings, re.MULTILINE)
    shown = {line.split()[0]: line for line in numbers.splitlines()[2:]}
    kept = []
    for name in ("a", "b"):
        best = json.loads(Path(name, "run.json").read_text())["best_epoch"]
        kept.append(History.from_csv(Path(name, "history.csv"), best, "").records[best - 1]["dev_loss"])
    stars = [f"{value:.5g}{' *' if value == min(kept) else ''}" for value in kept]
    assert re.split(r"  +", shown["dev_loss"]) == ["dev_loss", *stars]
    page = Path("ab.html").read_text("utf-8")
    assert "<h2>Settings that differ</h2>" in page and 'id="curves-1"' in page and "vegaEmbed" in page
    assert run(["compare", "a", "a"]) == 0 and "settings that differ: none" in capsys.readouterr().out
    one, other = (RunToCompare(w, check_text(SPEC.replace("relu", w)), History()) for w in ("relu", "tanh"))
    assert differences([one, other]) == [Row("layers of its own", ("relu1: relu", "tanh1: tanh"))]
    for arguments, status, words in [
        (["a"], 2, "at least two runs"),
        (["a", "nope"], 1, "there is no run nope"),
        (["a", "b", "-o", "x.pdf"], 2, "the page is HTML"),
    ]:
        assert run(["compare", *arguments]) == status and words in capsys.readouterr().err


def test_nothing_to_do() -> None:
    assert worst(diagnose(Errors(0.1, 0.1, 0.1))) is None
    assert worst(diagnose(Errors(0.1, 0.05, 0.02, train_dev=0.04, test=0.01))) is None
