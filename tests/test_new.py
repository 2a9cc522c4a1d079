"""The first minutes: `dslc new`, specs found by name, settings on the command line, a run that knows its data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import dslc, tiny  # noqa: F401 - a fixture

from dslc.cli.new import KINDS
from dslc.compiler import check_file
from dslc.language.format import format_source
from dslc.language.parse import read
from helpers import SPECS


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_to_start_from(kind: str, tmp_path: Path) -> None:
    done = dslc("new", "my-thing", kind, cwd=tmp_path)
    assert done.returncode == 0 and "dslc train mything.net --data" in done.stdout
    spec = tmp_path / "my-thing" / "mything.net"
    assert check_file(spec).name == "MyThing"
    assert format_source(read(spec)) == spec.read_text()
    compile((tmp_path / "my-thing" / "train.py").read_text(), "train.py", "exec")
    assert "$" not in (tmp_path / "my-thing" / "README.md").read_text()


@pytest.mark.parametrize("kind", ["table", pytest.param("images", marks=pytest.mark.slow), "regression"])
def test_what_it_says_to_type_next_works(kind: str, tmp_path: Path) -> None:
    lines = dslc("new", kind, cwd=tmp_path).stdout.splitlines()
    home = tmp_path / kind
    for line in [line.split()[1:] for line in lines if line.startswith("  dslc")]:
        done = dslc(*line, cwd=home)
        assert done.returncode == 0, done.stderr
    found = dslc("evaluate", f"runs/{kind}-1", cwd=home)
    results = dict(line.split() for line in found.stdout.splitlines()[:2])
    assert float(results["mae"]) < 0.5 if kind == "regression" else float(results["accuracy"]) > 0.85
    script = subprocess.run([sys.executable, "train.py"], cwd=home, capture_output=True, text=True, check=False)
    assert script.returncode == 0, script.stderr


def test_it_asks_and_refuses(tmp_path: Path) -> None:
    assert dslc("new", "a", cwd=tmp_path).returncode == 2
    assert dslc("new", "1a", "table", cwd=tmp_path).returncode == 2
    (tmp_path / "a").mkdir()
    done = dslc("new", "a", "table", cwd=tmp_path)
    assert done.returncode == 1 and "exists already" in done.stderr
    assert list((tmp_path / "a").iterdir()) == []


def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dslc.cli import new

    answers = iter(["", "nothing", "reg", "digits", "numerals", "table", ""])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    new.new("prices")
    assert "mse" in (tmp_path / "prices" / "prices.net").read_text()
    new.new()
    new.new()
    assert (tmp_path / "numerals" / "numerals.net").exists() and (tmp_path / "table" / "data.csv").exists()


def test_specs_that_ship_are_found_by_name(tmp_path: Path) -> None:
    for path in SPECS:
        assert read(path.stem).text == read(path).text
    wrong = dslc("check", "lenet", cwd=tmp_path)
    assert "did you mean 'lenet5'?" in wrong.stderr
    (tmp_path / "mlp").write_text("net Mine {\n  input x: 3\n  dense(2)\n}\n")
    assert dslc("check", "mlp", cwd=tmp_path).stdout.startswith("Mine")


def test_train_alone_says_what_to_do(tmp_path: Path) -> None:
    done = dslc("train", cwd=tmp_path)
    assert done.returncode == 2 and "dslc train lenet5 --data mnist" in done.stderr
    assert "dslc train mlp --data mnist" in dslc("train", "mlp", cwd=tmp_path).stderr


@pytest.mark.slow
def test_settings_on_the_command_line_and_a_run_that_knows_its_data(tiny: Path) -> None:  # noqa: F811
    train = ("train", "tiny.net", "--data", "data.csv", "--target", "kind", "--run", "out")
    options = ("--lr", "0.25", "--batch", "4", "--seed", "3", "-D", "epochs=2")
    assert dslc(*train, *options, cwd=tiny).returncode == 0
    training = check_file(tiny / "out" / "spec.net").training
    assert training is not None
    assert (training.optimizer.lr, training.batch, training.seed, training.epochs) == (0.25, 4, 3, 2)
    remembered = json.loads((tiny / "out" / "run.json").read_text())
    assert (remembered["data"], remembered["target"]) == (str(tiny / "data.csv"), "kind")
    given = dslc("evaluate", "out", "--data", "data.csv", "--target", "kind", cwd=tiny)
    assert given.stdout == dslc("evaluate", "out", cwd=tiny).stdout != ""
    assert dslc("predict", "out", cwd=tiny).returncode == 0
    assert len((tiny / "predictions.csv").read_text().splitlines()) == 61
    weights = dslc("evaluate", "out/weights.safetensors", cwd=tiny)
    assert weights.returncode == 2 and "name data" in weights.stderr
    twice = dslc(*train, "--lr", "0.5", "-D", "lr=0.25", cwd=tiny)
    assert twice.returncode == 2 and "--lr and -D lr= say the same thing" in twice.stderr

    before = (tiny / "out" / "spec.net").read_bytes()
    refused = dslc(*train, cwd=tiny)
    assert refused.returncode == 1 and "out exists already" in refused.stderr
    assert (tiny / "out" / "spec.net").read_bytes() == before
    (tiny / "out" / "mine.txt").touch()
    assert dslc(*train, "--overwrite", "--epochs", "1", cwd=tiny).returncode == 0
    assert len((tiny / "out" / "history.csv").read_text().splitlines()) == 2
    assert (tiny / "out" / "mine.txt").exists()
    assert dslc(*train[:-2], "--resume", "out", "--epochs", "1", cwd=tiny).returncode == 0
