"""The command line as a person uses it, bad input included: never a traceback, never a half-written file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from helpers import REPO

DATA_SPEC = """
param lr = 0.1 in log(1e-3, 1)
net Tiny {
  input x: 4
  dense(5) -> tanh
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(lr)
  batch     8
  epochs    3
}
"""


def dslc(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dslc", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a small spec and data for it."""
    (tmp_path / "tiny.net").write_text(DATA_SPEC)
    random = np.random.default_rng(0)
    x, y = random.random((60, 4)), random.integers(0, 3, 60)
    np.savez(tmp_path / "data.npz", x=x, y=y, x_test=x[:10], y_test=y[:10])
    rows = ["a,b,c,d,kind", *(",".join([*map(str, row), str(label)]) for row, label in zip(x, y, strict=True))]
    (tmp_path / "data.csv").write_text("\n".join(rows))
    return tmp_path


def test_train_evaluate_predict(tiny: Path) -> None:
    done = dslc("train", "tiny.net", "--data", "data.npz", "-D", "lr=0.25", cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr + done.stdout, "no control codes where there is no terminal"
    assert done.stderr.count("epoch") == 3 and "test:" in done.stdout
    run = tiny / "runs" / "tiny-1"
    assert {p.name for p in run.iterdir()} == {
        "spec.net",
        "weights.safetensors",
        "checkpoint",
        "history.csv",
        "report.html",
    }
    assert "param lr = 0.25 in" in (run / "spec.net").read_text()
    assert len((run / "history.csv").read_text().splitlines()) == 4
    assert "runs/tiny-2" in dslc("train", "tiny.net", "--data", "data.npz", "--epochs", 1, cwd=tiny).stdout
    shown = dict(line.split() for line in dslc("evaluate", run, "--data", "data.npz", cwd=tiny).stdout.splitlines())
    assert set(shown) == {"loss", "accuracy"}
    weights = run / "weights.safetensors"
    assert dslc("predict", weights, "--data", "data.npz", "-o", "p.csv", cwd=tiny).returncode == 0
    assert dslc("predict", run, "--data", "data.npz", "-o", "p.npy", cwd=tiny).returncode == 0
    from_csv = np.loadtxt(tiny / "p.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(from_csv, np.load(tiny / "p.npy"), rtol=1e-6)
    np.testing.assert_allclose(from_csv.sum(axis=1), 1, rtol=1e-5)


def test_train_from_csv_with_json_progress(tiny: Path) -> None:
    arguments = ("--data", "data.csv", "--target", "kind", "--progress", "json", "--run", "r")
    done = dslc("train", "tiny.net", *arguments, cwd=tiny)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert [r["epoch"] for r in records] == [1, 2, 3]


def test_check_shows_sizes_and_bytes(tiny: Path) -> None:
    done = dslc("check", REPO / "specs" / "lenet5.net", "tiny.net", cwd=tiny)
    assert "floor((14 + 0 - 5) / 1) + 1 = 10" in done.stdout and "61,706" in done.stdout and "Tiny" in done.stdout
    (report,) = json.loads(dslc("check", REPO / "specs" / "lenet5.net", "--json", cwd=tiny).stdout)
    memory = report["memory"]
    assert report["parameters"] == 61706 and report["rows"][0]["multiply_adds"] == 28 * 28 * 6 * 25
    assert memory["training"] >= sum(memory[k] for k in ("parameters", "training_activations", "gradients", "state"))


def test_gradcheck_and_verify(tiny: Path) -> None:
    done = dslc("gradcheck", "tiny.net", cwd=tiny)
    assert done.returncode == 0 and done.stdout.count("ok") == 4, done.stdout
    done = dslc("verify", "tiny.net", cwd=tiny)
    assert done.returncode == 0 and "after 10 steps dense1.weight" in done.stdout and "differs" not in done.stdout


def test_verify_for_another_machine_and_without_passes(tiny: Path) -> None:
    options = ("--target", "c99", "--threads", 2, "--disable", "fusion", "--disable", "dead")
    done = dslc("verify", "tiny.net", *options, cwd=tiny)
    assert done.returncode == 0 and "after 10 steps dense1.weight" in done.stdout and "differs" not in done.stdout


def test_threads_and_passes_of_the_plan(tiny: Path) -> None:
    """What emit shows is what compile makes. Threads have memory of their own; a pass left out changes the C."""
    spec = REPO / "specs" / "residual.net"
    shown = [dslc("check", spec, "--json", *threads, cwd=tiny).stdout for threads in ((), ("--threads", 2))]
    one, two = (json.loads(text)[0]["memory"] for text in shown)
    assert (one["threads"], two["threads"]) == (1, 2) and two["training"] > one["training"]
    assert "2 threads" in dslc("check", spec, "--threads", 2, cwd=tiny).stdout
    assert "2 threads" in dslc("emit", spec, "--stage", "plan", "--threads", 2, cwd=tiny).stdout
    code = dslc("emit", "tiny.net", "--threads", 2, "--disable", "fusion", cwd=tiny).stdout
    assert "at most 2 threads" in code and "tanh1_forward" in code
    assert "tanh1_forward" not in dslc("emit", "tiny.net", "--threads", 2, cwd=tiny).stdout
    assert dslc("compile", "tiny.net", "-o", "out", "--threads", 2, "--disable", "fusion", cwd=tiny).returncode == 0
    assert (tiny / "out" / "tiny.c").read_text() == code


@pytest.mark.parametrize(
    ("stage", "words"),
    [("ast", "NetDecl"), ("ir", "Dense(units=5"), ("plan", "dense1_forward"), ("c", "tiny_train_step")],
)
def test_emit_shows_every_stage(tiny: Path, stage: str, words: str) -> None:
    assert words in dslc("emit", "tiny.net", "--stage", stage, cwd=tiny).stdout


def test_compile_leaves_a_module_that_imports(tiny: Path) -> None:
    done = dslc("compile", "tiny.net", "-o", "out", cwd=tiny)
    assert done.returncode == 0, done.stderr
    (module,) = (tiny / "out").glob("*.so")
    assert (tiny / "out" / "tiny.c").exists()
    code = (
        f"import sys; sys.path.insert(0, 'out'); import {module.name.split('.')[0]} as m; print(m.lib.tiny_max_batch())"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tiny, capture_output=True, text=True).stdout == "8\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("chek", "tiny.net"), 2, "check"),
        (("check",), 2, "name at least one spec"),
        (("check", "nope.net"), 1, "no such file"),
        (("check", "."), 1, "directory"),
        (("check", "data.npz"), 1, "not text"),
        (("check", "tiny.net", "-D", "x=1"), 1, "no param 'x'"),
        (("check", "tiny.net", "-D", "lr=7"), 1, "outside its own range"),
        (("check", "tiny.net", "-D", "lr"), 2, "name=value"),
        (("compile", "tiny.net", "--target", "pdp11"), 2, "no target"),
        (("verify", "tiny.net", "--target", "pdp11"), 2, "no target"),
        (("compile", "tiny.net", "--disable", "fussion"), 2, "no pass 'fussion'; there are"),
        (("emit", "tiny.net", "--disable", "fussion"), 2, "no pass 'fussion'; there are"),
        (("verify", "tiny.net", "--disable", "dead", "--disable", "fussion"), 2, "no pass 'fussion'; there are"),
        (("check", "tiny.net", "--threads", "0"), 2, "at least 1"),
        (("compile", "tiny.net", "--threads", "0"), 2, "at least 1"),
        (("emit", "tiny.net", "--threads", "0"), 2, "at least 1"),
        (("train", "tiny.net"), 2, "--data"),
        (("train", "tiny.net", "--data", "nope"), 1, "no data"),
        (("train", "tiny.net", "--data", "tiny.net"), 1, "neither"),
        (("train", "tiny.net", "--data", "data.csv"), 1, "--target"),
        (("train", "tiny.net", "--data", "mnist"), 1, "expected the shape"),
        (("train", "tiny.net", "--data", "data.npz", "--epochs", "0"), 2, "at least 1"),
        (("train", "tiny.net", "--data", "data.npz", "--threads", "0"), 2, "at least 1"),
        (("train", "tiny.net", "--data", "data.npz", "--run", "/proc/nothing"), 1, "run folder"),
        (("evaluate", ".", "--data", "data.npz"), 1, "no run folder"),
        (("predict", "tiny.net", "--data", "data.npz"), 1, "cannot read"),
        (("gradcheck", "tiny.net", "--entries", "0"), 2, "at least 1"),
    ],
)
def test_bad_calls(tiny: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    before = sorted(tiny.rglob("*"))
    done = dslc(*arguments, cwd=tiny)
    assert done.returncode == status and words in done.stderr + done.stdout, done.stderr
    assert sorted(p for p in tiny.rglob("*") if p.name != "runs") == before, "nothing is left behind"


def test_no_compiler(tiny: Path) -> None:
    done = dslc("compile", "tiny.net", cwd=tiny, PATH="", DSLC_CACHE=str(tiny / "c"))
    assert done.returncode == 1 and "install gcc" in done.stderr
    done = dslc("compile", "tiny.net", cwd=tiny, CC="no-such-compiler", DSLC_CACHE=str(tiny / "c"))
    assert done.returncode == 1 and "no-such-compiler" in done.stderr


def test_a_compiler_that_fails_shows_its_command_and_words(tiny: Path) -> None:
    compiler = tiny / "cc"
    compiler.write_text("#!/bin/sh\necho 'out of ideas' >&2\nexit 1\n")
    compiler.chmod(0o755)
    done = dslc("compile", "tiny.net", cwd=tiny, CC=str(compiler), DSLC_CACHE=str(tiny / "c"))
    assert done.returncode == 1 and "out of ideas" in done.stderr and f"{compiler} -std=gnu11" in done.stderr
    assert not list((tiny / "c").rglob("*.so")), "no half-written module"


def test_a_cache_that_cannot_be_written_is_replaced_with_a_note(tiny: Path) -> None:
    done = dslc("compile", "tiny.net", cwd=tiny, DSLC_CACHE="/proc/nothing")
    assert done.returncode == 0 and "cannot be written" in done.stderr


def test_two_processes_compile_at_once(tiny: Path) -> None:
    command = [sys.executable, "-m", "dslc", "verify", "tiny.net"]
    environment = {**os.environ, "DSLC_CACHE": str(tiny / "c")}
    both = [subprocess.Popen(command, cwd=tiny, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert not [p for p in (tiny / "c").iterdir() if p.name.startswith("dslc-")], "no scratch folder is left"


def test_train_from_weights(tiny: Path) -> None:
    """Transfer: the frozen layer keeps what was loaded; a head of another size is refused unless it is left out."""
    assert dslc("train", "tiny.net", "--data", "data.npz", "--run", "a", cwd=tiny).returncode == 0
    (tiny / "b.net").write_text(
        DATA_SPEC.replace("dense(3)", "dense(4)").replace("epochs ", "freeze dense1\n  epochs ")
    )
    start = ("train", "b.net", "--data", "data.npz", "--run", "b", "--weights", "a/weights.safetensors")
    refused = dslc(*start, cwd=tiny)
    assert refused.returncode == 1 and "dense2.weight has the shape (3, 5) in the file" in refused.stderr
    assert dslc(*start, "--only", "dense1", cwd=tiny).returncode == 0
    before, after = (load_file(tiny / run / "weights.safetensors") for run in "ab")
    np.testing.assert_array_equal(before["dense1.weight"], after["dense1.weight"])
    assert dslc("train", "b.net", "--data", "data.npz", "--only", "dense1", cwd=tiny).returncode == 2
