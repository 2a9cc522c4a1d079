"""The command line as a person uses it, bad input included: never a traceback, never a half-written file."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dslc.cli.main import run
from dslc.plan import ALIGNMENT
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


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A device of our own on which there is never any room."""
    path = tmp_path / "full"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 7))
        path.open("wb").close()
    except PermissionError:
        pytest.skip("this user may not make devices")
    return path


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of sh in which `dslc` is the command."""
    start = f'dslc() {{ {shlex.quote(sys.executable)} -m dslc "$@"; }}\n'
    command, given = ["sh", "-c", start + line], {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=given)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    return done


def test_results_that_cannot_be_written(tiny: Path, full: Path) -> None:
    done = shell("dslc check tiny.net >full", tiny)
    assert (done.returncode, done.stderr) == (1, "error: cannot write the results: no space left on device\n")
    done = shell("dslc check tiny.net >&-", tiny)
    assert (done.returncode, done.stderr) == (1, "error: cannot write the results: bad file descriptor\n")
    assert shell("dslc check tiny.net <&- 2>&-", tiny).returncode == 0
    assert shell("dslc check tiny.net | :", tiny).stderr == ""


def test_messages_that_cannot_be_written_end_no_training(tiny: Path, full: Path) -> None:
    """Progress and notes; the exit status tells of the training. A name that cannot be printed neither."""
    line = "dslc train tiny.net --data data.npz --split 60/40 --progress plain --epochs 2 --run z/ü2 2>full"
    done = shell(line, tiny, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "run: z/\\xfc2" in done.stdout
    assert len((tiny / "z/ü2/history.csv").read_text().splitlines()) == 3


def test_a_run_goes_on_with_its_own_split(tiny: Path) -> None:
    """Not with the one that training would make by itself."""
    assert dslc("train", "tiny.net", "--data", "data.npz", "--split", "60/40", "--epochs", 1, cwd=tiny).returncode == 0
    run = tiny / "runs" / "tiny-1"
    before = (run / "split.json").read_text()
    done = dslc("train", "tiny.net", "--data", "data.npz", "--resume", run, "--epochs", 1, cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert (run / "split.json").read_text() == before
    assert len((run / "history.csv").read_text().splitlines()) == 3


def test_train_evaluate_predict(tiny: Path) -> None:
    done = dslc("train", "tiny.net", "--data", "data.npz", "-D", "lr=0.25", cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr + done.stdout, "no control codes where there is no terminal"
    assert done.stderr.count("epoch") == 3 and "test:" in done.stdout
    run = tiny / "runs" / "tiny-1"
    files = {"spec.net", "weights.safetensors", "history.csv", "report.html", "run.json", "split.json", "checkpoint"}
    assert {p.name for p in run.iterdir()} == files | {"checkpoint.previous", "overrides.json"}
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


def test_confusion_by_class(tiny: Path) -> None:
    """Two tables that agree: recall is the diagonal over the row's sum, and the counts are those of the data."""
    spec = (tiny / "tiny.net").read_text()
    (tiny / "tiny.net").write_text(spec.replace("epochs    3", "epochs 3\n metrics confusion"))
    assert dslc("train", "tiny.net", "--data", "data.npz", cwd=tiny).returncode == 0
    shown = dslc("evaluate", "runs/tiny-1", "--data", "data.npz", cwd=tiny).stdout
    matrix = np.array([line.split()[1:] for line in shown.splitlines()[5:8]], dtype=int)
    with np.load(tiny / "data.npz") as data:
        assert (matrix.sum(axis=1) == np.bincount(data["y_test"], minlength=3)).all()
    table = np.array([line.split() for line in shown.splitlines()[-3:]], dtype=float)
    assert (table[:, 4] == matrix.sum(axis=1)).all()
    np.testing.assert_allclose(table[:, 2], np.diag(matrix) / matrix.sum(axis=1), atol=5e-5)


def test_classes_of_pixels(tmp_path: Path, rng: np.random.Generator) -> None:
    """Segmentation from a file of masks: metrics and confusion of pixels; no list of mistakes."""
    (tmp_path / "seg.net").write_text(
        "net Seg {\n  input x: 6x5x1\n  conv(3, 1x1) -> softmax\n}\n"
        "train {\n  loss pixel_cross_entropy\n  optimizer adam(0.01)\n  metrics iou, confusion\n  epochs 1\n}\n"
    )
    masks = rng.integers(0, 3, (40, 6, 5)).astype(np.uint8)
    masks[rng.random(masks.shape) < 0.2] = 255
    np.savez(
        tmp_path / "masks.npz", x=rng.random((40, 6, 5, 1)), y=masks, x_test=rng.random((9, 6, 5, 1)), y_test=masks[:9]
    )
    trained = dslc("train", "seg.net", "--data", "masks.npz", cwd=tmp_path)
    assert trained.returncode == 0 and "dev_iou" in trained.stderr
    shown = dslc("evaluate", "runs/seg-1", "--data", "masks.npz", cwd=tmp_path).stdout
    table = [line.split() for line in shown.splitlines()[-3:]]
    assert [int(row[-1]) for row in table] == [int((masks[:9] == k).sum()) for k in range(3)]
    refused = dslc("errors", "runs/seg-1", "--data", "masks.npz", cwd=tmp_path)
    assert refused.returncode == 1 and "a class for each pixel" in refused.stderr


def test_a_dev_set_of_another_balance_is_noted(tiny: Path) -> None:
    x = np.zeros((100, 4))
    np.savez(tiny / "odd.npz", x=x, y=np.arange(100) % 3, x_dev=x, y_dev=np.zeros(100, int))
    done = dslc("train", "tiny.net", "--data", "odd.npz", "--epochs", 1, cwd=tiny)
    assert done.returncode == 0, done.stderr
    assert "note: the dev set has another balance of classes: 0.0% of it are of class 1" in done.stderr


@pytest.mark.slow
def test_bias_and_variance(tiny: Path) -> None:
    """The table's numbers are those of the parts that the run was trained with."""
    data = ("--data", "data.csv", "--target", "kind")
    done = dslc("train", "tiny.net", *data, "--split", "60/20/20", "--train-dev", 0.2, cwd=tiny)
    assert done.returncode == 0, done.stderr
    trained = dict(re.findall(r"^([a-z-]+): .*accuracy ([0-9.]+)", done.stdout, re.M))
    assert list(trained) == ["train", "train-dev", "dev", "test"]
    arguments = ("evaluate", "runs/tiny-1", *data, "--human-error", 0.25)
    shown = dslc(*arguments, cwd=tiny)
    rows = re.findall(r"^(\S+) +([0-9.]+) +(\d+)$", shown.stdout, re.M)
    errors = {name: (error, count) for name, error, count in rows}
    assert {name: f"{1 - float(error):.4f}" for name, (error, _) in errors.items()} == trained
    assert [int(count) for _, count in errors.values()] == [29, 7, 12, 12]
    bias = re.search(r"avoidable bias +train - human +([+-][0-9.]+)$", shown.stdout, re.M)
    assert bias and float(bias[1]) == pytest.approx(float(errors["train"][0]) - 0.25, abs=1e-4)
    assert "try:" in shown.stdout and "the test set: 12 examples" in shown.stderr
    percent = dslc(*arguments[:-1], 25, cwd=tiny)
    assert percent.returncode == 2 and "a share of the answers, from 0 to 1" in percent.stderr
    (tiny / "other.csv").write_text("\n".join((tiny / "data.csv").read_text().splitlines()[:50]))
    other = dslc("evaluate", "runs/tiny-1", "--data", "other.csv", *data[2:], "--human-error", 0, cwd=tiny)
    assert other.returncode == 1 and "does not say how other.csv was split" in other.stderr
    (tiny / "runs" / "tiny-1" / "split.json").write_text("{}")
    assert "is damaged" in dslc(*arguments, cwd=tiny).stderr


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
    parts = [memory[k] for k in ("parameters", "training_activations", "gradients", "state")]
    assert memory["training"] == sum(parts) + ALIGNMENT, "nothing else lies in the arena"
    assert memory["requested_gradients"] > memory["gradients"] > 0
    assert "only if gradients are asked for" in done.stdout and f"{memory['requested_gradients']:,}" in done.stdout


def test_gradcheck_and_verify(tiny: Path) -> None:
    done = dslc("gradcheck", "tiny.net", cwd=tiny)
    assert done.returncode == 0 and done.stdout.count("ok") == 4, done.stdout
    done = dslc("verify", "tiny.net", cwd=tiny)
    assert done.returncode == 0 and "after 10 steps dense1.weight" in done.stdout and "differs" not in done.stdout


def test_verify_for_another_machine_and_without_passes(tiny: Path) -> None:
    options = ("--target", "c99", "--threads", 2, "--disable", "fusion", "--disable", "dead")
    done = dslc("verify", "tiny.net", *options, cwd=tiny)
    assert done.returncode == 0 and "after 10 steps dense1.weight" in done.stdout and "differs" not in done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_augment_draws_a_sheet(tiny: Path) -> None:
    """A picture as large as its rows and columns want; nothing is left of one that cannot be drawn."""
    image = pytest.importorskip("matplotlib.image")
    spec = REPO / "specs" / "augmented.net"
    done = dslc("augment", spec, "--data", "mnist", "-o", "sheet.png", "--examples", 3, "--draws", 4, cwd=tiny)
    assert done.returncode == 0 and done.stdout == "sheet.png: 3 examples, 4 draws of each\n", done.stderr
    height, width, _ = image.imread(tiny / "sheet.png").shape
    assert width / height == pytest.approx(5 * 0.9 / (3 * 0.9 + 0.6), rel=0.01)
    vector = tiny / "vector.net"
    vector.write_text("net Vector {\n  input x: 784\n  noise(1) -> dense(2)\n}\n")
    for wrong, output, words in (
        (REPO / "specs" / "lenet5.net", "a.png", "has no augmentation layer"),
        (vector, "a.png", "noise1: a sheet shows images of 1 or 3 channels, and x is 784"),
        (spec, "a.bmp", "must end in .png, .pdf, .svg, .jpg"),
        (spec, "none/a.png", "cannot write to none/a.png"),
    ):
        done = dslc("augment", wrong, "--data", "mnist", "-o", output, cwd=tiny)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not list(tiny.glob("a.*"))


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
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=tiny, capture_output=True, check=False, text=True).stdout
        == "8\n"
    )


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
        (("evaluate", ".", "--data", "data.npz"), 1, "not a run folder"),
        (("evaluate", ".", "--data", "data.npz", "--human-error", "-1"), 2, "at least 0"),
        (("train", "tiny.net", "--data", "data.npz", "--split", "60/40/20"), 2, "percentages"),
        (("train", "tiny.net", "--data", "data.npz", "--split", "60/20/20"), 1, "data.npz brings a test set"),
        (("train", "tiny.net", "--data", "data.npz", "--train-dev", "10"), 2, "a share of the training set"),
        (("predict", "data.npz", "--data", "data.npz"), 1, "it is no weights file"),
        (("gradcheck", "tiny.net", "--entries", "0"), 2, "at least 1"),
        (("augment", "tiny.net", "--data", "data.npz", "--draws", "0"), 2, "at least 1"),
    ],
)
def test_bad_calls(tiny: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    before = sorted(tiny.rglob("*"))
    done = dslc(*arguments, cwd=tiny)
    assert done.returncode == status and words in done.stderr + done.stdout, done.stderr
    assert sorted(p for p in tiny.rglob("*") if p.name != "runs") == before, "nothing is left behind"


ON_RUNS: list[tuple[str, ...]] = [
    ("evaluate",), ("predict",), ("predict", "--data", "data.npz"), ("errors",), ("report",), ("quantize",),
    ("generate", "--start", "a"), ("compare", "."), ("export",),
]  # fmt: skip


@pytest.mark.parametrize("command", ON_RUNS, ids=" ".join)
def test_what_is_no_run_is_told_by_every_command(
    command: tuple[str, ...], tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny)
    name, *options = command
    said = []
    for thing in ("nosuch", "lenet5", "tiny.net"):
        assert run([name, thing, *options]) == 1
        said.append(capsys.readouterr().err)
    first = "train it first, with dslc train {} --data DATA, and name the run that this leaves\n"
    assert said[0] == "error: there is no run nosuch\n"
    assert said[1] == f"error: there is no run lenet5; lenet5 is a spec: {first.format('lenet5')}"
    if name == "export":
        assert said[2] == "error: tiny.net is a spec without numbers: name its weights with --weights\n"
    else:
        assert said[2] == f"error: tiny.net is a spec, without weights: {first.format('tiny.net')}"


@pytest.mark.parametrize("command", ["inspect", "train"])
def test_weights_that_are_a_spec(
    command: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny)
    assert run([command, "tiny.net", "--data", "data.npz", "--weights", "tiny.net"]) == 1
    assert "error: tiny.net is a spec, without weights: train it first" in capsys.readouterr().err


def test_no_compiler(tiny: Path) -> None:
    if importlib.util.find_spec("ziglang") is None:  # a compiler that no PATH leads to
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_gcc_without_make(tiny: Path) -> None:
    """GCC shares compiling out with the help of make; it has to do without where there is none."""
    programs = tiny / "bin"
    programs.mkdir()
    for name in ("gcc", "as", "ld"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for path, shares in ((str(programs), False), (os.environ["PATH"], bool(shutil.which("make")))):
        cache = tiny / f"cache{shares}"
        done = dslc("verify", "tiny.net", cwd=tiny, PATH=path, CC="gcc", DSLC_CACHE=str(cache))
        assert done.returncode == 0, done.stderr
        assert (b"-flto" in next(cache.glob("compiler-*")).read_bytes()) == shares


def test_a_cache_that_cannot_be_written_is_replaced_with_a_note(tiny: Path) -> None:
    done = dslc("compile", "tiny.net", cwd=tiny, DSLC_CACHE="/proc/nothing")
    assert done.returncode == 0 and "cannot be written" in done.stderr


def test_two_processes_compile_at_once(tiny: Path) -> None:
    command = [sys.executable, "-m", "dslc", "verify", "tiny.net"]
    environment = {**os.environ, "DSLC_CACHE": str(tiny / "c")}
    both = [subprocess.Popen(command, cwd=tiny, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert not [p for p in (tiny / "c").iterdir() if p.name.startswith("dslc-")], "no scratch folder is left"


TOGETHER = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import dslc
before, barrier = sys.stdout, threading.Barrier(4)
def load(number):
    barrier.wait()
    return dslc.load(sys.argv[1]).predict(np.ones((2, 4), np.float32)).tolist()
with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(load, range(4)))
assert sys.stdout is before
print(found[0] if found.count(found[0]) == 4 else found)
"""


@pytest.mark.slow
def test_threads_load_a_new_spec_at_once(tiny: Path) -> None:
    """All of them get the network, and the process keeps its standard output."""
    command = [sys.executable, "-c", TOGETHER, "tiny.net"]
    environment = {**os.environ, "DSLC_CACHE": str(tiny / "c")}
    done = [
        subprocess.run(command, cwd=tiny, env=environment, capture_output=True, check=False, text=True)
        for _ in range(2)
    ]
    assert [d.returncode for d in done] == [0, 0], done[0].stderr
    assert done[0].stdout == done[1].stdout and done[0].stdout.startswith("[[")
    assert not [p for p in (tiny / "c").iterdir() if p.name.startswith("dslc-")], "no scratch folder is left"


@pytest.mark.parametrize("part", ["x_test", "y_test"])
def test_a_test_set_that_does_not_fit_is_told_before_training(part: str, tiny: Path) -> None:
    """Not when all epochs are done, and in a search before the first trial."""
    (tiny / "r.net").write_text(DATA_SPEC.replace("-> softmax", "").replace("cross_entropy", "mse"))
    random = np.random.default_rng(0)
    arrays = {"x": random.random((60, 4)), "y": random.random((60, 3))}
    arrays |= {"x_test": arrays["x"][:10], "y_test": arrays["y"][:10]}
    arrays[part] = np.full_like(arrays[part], np.nan)
    np.savez(tiny / "r.npz", **arrays)
    words = "test set: input x is not finite" if part == "x_test" else "test set: target output has no label"
    for command in ("train", "search"):
        done = dslc(command, "r.net", "--data", "r.npz", cwd=tiny)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert not (tiny / "runs").exists() and "epoch" not in done.stderr


@pytest.mark.slow
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
