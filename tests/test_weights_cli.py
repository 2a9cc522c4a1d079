"""Sample weights in files: a column of a table or of a list of images, an array of an .npz."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.cli.main
from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import DataNote, Reading
from dslc.runtime.data.splits import Shares

pytest.importorskip("polars")
THREE = """net Three {
  input x: 2
  standardize -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.5)
  batch all
  shuffle off
  epochs 5
  metrics confusion
}
"""
ROWS, COUNTS = 12, np.tile([1, 2, 0, 3], 3)
"""So few that no dev set is drawn, repeated or not."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with a column of weights, one with the rows repeated instead, and the same as .npz."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((ROWS, 2)).round(3), np.tile([0, 1, 2, 1, 0, 2], 2)
    lines = [f"{a},{b},{'abc'[k]}" for (a, b), k in zip(x, y, strict=True)]
    weighed = [f"{c},{line}" for c, line in zip(COUNTS, lines, strict=True)]
    Path("weighed.csv").write_text("\n".join(["often,a,b,kind", *weighed]) + "\n")
    again = [line for c, line in zip(COUNTS, lines, strict=True) for _ in range(c)]
    Path("repeated.csv").write_text("\n".join(["a,b,kind", *again]) + "\n")
    np.savez("weighed.npz", x=x, y=y, weight=COUNTS, x_dev=x, y_dev=y, weight_val=COUNTS[::-1])
    np.savez("repeated.npz", **{
        "x": np.repeat(x, COUNTS, 0), "y": np.repeat(y, COUNTS),
        "x_dev": np.repeat(x, COUNTS[::-1], 0), "y_dev": np.repeat(y, COUNTS[::-1]),
    })  # fmt: skip
    Path("three.net").write_text(THREE)
    return tmp_path


def run(*arguments: object) -> int:
    return dslc.cli.main.run([str(a) for a in arguments])


def test_a_column_is_as_if_rows_were_repeated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In training without a dev set, in the numbers of `evaluate`, and in its confusion matrix."""
    for name, more in (("weighed", ["--weight", "often"]), ("repeated", [])):
        given = ["--data", f"{name}.csv", "--target", "kind", *more]
        assert run("train", "three.net", *given, "--run", name, "--progress", "none") == 0
    weights = [dslc.load("three.net"), dslc.load("three.net")]
    for model, name in zip(weights, ("weighed", "repeated"), strict=True):
        model.load_weights(f"{name}/weights.safetensors")
    mine, its = (model.copy_weights() for model in weights)
    for name, array in its.items():
        assert mine[name] == pytest.approx(array, rel=1e-5, abs=1e-6), name
    capsys.readouterr()
    printed = []
    for name, more in (("weighed", ["--weight", "often"]), ("repeated", [])):
        assert run("evaluate", "repeated", "--data", f"{name}.csv", *more) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_run_remembers_its_column(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where training goes on; other data may lack it, which is told."""
    given = ["--data", "weighed.csv", "--target", "kind", "--weight", "often", "--progress", "none"]
    assert run("train", "three.net", *given, "--epochs", 2, "--run", "run") == 0
    capsys.readouterr()
    assert run("evaluate", "run") == 0
    printed = capsys.readouterr().out
    assert run("evaluate", "run", "--weight", "often") == 0
    assert printed == capsys.readouterr().out
    with pytest.warns(DataNote, match=r"repeated.csv has no column 'often', the sample weights of the training"):
        assert run("evaluate", "run", "--data", "repeated.csv") == 0
    assert printed == capsys.readouterr().out
    assert run("train", "three.net", *given, "--epochs", 4, "--run", "whole") == 0
    assert run("train", "three.net", "--data", "weighed.csv", "--resume", "run", "--epochs", 2) == 0
    models = [dslc.load("three.net"), dslc.load("three.net")]
    for model, name in zip(models, ("whole", "run"), strict=True):
        model.load_weights(f"{name}/weights.safetensors")
    for name, view in models[0].parameters.items():
        assert (view.numpy() == models[1].parameters[name].numpy()).all(), name
    Path("new.csv").write_text("b,a\n1,2\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataNote)
        assert run("predict", "run", "--data", "new.csv") == 0


def test_arrays(here: Path) -> None:
    """`weight` beside x and y, and that of the dev set under Keras' name."""
    found, wanted = load_dataset("weighed.npz"), load_dataset("repeated.npz")
    model = dslc.loads(THREE)
    for part, its in zip(found.parts.values(), wanted.parts.values(), strict=True):
        assert part.weights is not None and its.weights is None
        assert model.evaluate(*part.given) == pytest.approx(model.evaluate(*its.given), rel=1e-6)


def test_parts_keep_their_weights(here: Path) -> None:
    whole = load_dataset("weighed.csv", how=Reading(target="kind", weight="often"))
    assert whole.features == ("a", "b")
    parts = whole.split(Shares(dev=0.25), 3)
    assert parts.dev is not None
    for part in (parts.train, parts.dev):
        assert part.weights is not None and (part.weights == COUNTS[part.places]).all()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("-1", "weighed.csv:6: -1"),
        ("", "weighed.csv:6, column 'often': is missing"),
        ("many", "weighed.csv:6, column 'often': 'many' is no number"),
    ],
)
def test_a_bad_weight_is_told_with_its_line(
    cell: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Path("weighed.csv").read_text().split("\n")
    lines[5] = f"{cell},{lines[5].partition(',')[2]}"
    Path("weighed.csv").write_text("\n".join(lines))
    given = ["--data", "weighed.csv", "--target", "kind", "--weight", "often"]
    assert run("train", "three.net", *given, "--progress", "none") == 1
    assert message in capsys.readouterr().err and not (here / "runs").exists()


def test_no_such_weights(here: Path) -> None:
    with pytest.raises(
        DataError, match=r"no column 'gewicht' in weighed.csv for --weight; its columns: often, a, b, kind"
    ):
        load_dataset("weighed.csv", how=Reading(target="kind", weight="gewicht"))
    with pytest.raises(DataError, match=r"--weight names a column of a table .* iris is neither"):
        load_dataset("iris", how=Reading(weight="often"))
    np.savez("short.npz", x=np.ones((3, 2)), y=np.arange(3), weight=np.ones(2))
    with pytest.raises(DataError, match=r"weight has the shape \(2,\), and there are 3 examples"):
        load_dataset("short.npz")


def test_a_list_of_images(here: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for i in range(3):
        image.fromarray(np.full((4, 4), i, np.uint8)).save(f"{i}.png")
    Path("list.csv").write_text("file,often\n0.png,1\n1.png,0.5\n2.png,2\n")
    found = load_dataset("list.csv", how=Reading(weight="often", labelled=False))
    assert (found.train.weights == [1, 0.5, 2]).all()
