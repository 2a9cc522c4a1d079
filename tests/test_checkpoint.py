"""A checkpoint goes on as if training had never stopped, is written whole or not at all, and fits only its network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from run_folders import assert_same_run
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import dslc
from dslc import cache
from dslc.cache import write_whole
from dslc.cli.main import run
from dslc.compiler import check_file, check_text
from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.splits import parse_shares
from dslc.runtime.model import Model
from dslc.runtime.runs.checkpoints import RunCheckpoints
from dslc.runtime.runs.folder import load_run, partition_of
from dslc.runtime.training.compatibility import changed_settings, differences

SPEC = """param lr = 0.02
net Resumed {
  input x: 6
  standardize -> dense(9) -> batchnorm -> tanh -> dropout(0.3) -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr)
  schedule  warmup(9) -> cosine(7)
  batch     8
  epochs    7
  seed      3
}
"""
STOPS = SPEC.replace("  seed", "  stop      early(patience=4)\n  seed").replace("lr = 0.02", "lr = 0.5")


def data(count: int = 61) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, count)
    return random.standard_normal((count, 6)) + np.eye(6)[y], y


def told(records: list[dict[str, float]]) -> list[dict[str, float]]:
    """Records without the one number that no two runs share."""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def assert_same_bits(a: Model, b: Model) -> None:
    assert (a.step, a.epoch) == (b.step, b.epoch)
    for mine, its in ((a.parameters, b.parameters), (a.compiled.states(), b.compiled.states())):
        assert mine.keys() == its.keys()
        for name, view in mine.items():
            np.testing.assert_array_equal(view.numpy(), its[name].numpy(), err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("with_dev", [False, True])
def test_stopping_changes_no_bit(dtype: str, with_dev: bool, tmp_path: Path) -> None:
    """3 epochs, stop, resume, 4 epochs are 7, with dropout, shuffling, a schedule by step and by epoch, running
    averages and fitted statistics; begun with one thread, gone on with two."""
    x, y = data()
    dev = data(40) if with_dev else None
    whole = dslc.loads(SPEC, dtype=dtype)
    wanted = whole.fit(x, y, dev)
    first = dslc.loads(SPEC, dtype=dtype)
    first.fit(x, y, dev, epochs=3)
    first.checkpoint(tmp_path / "new" / "last")
    for threads in (1, 2):
        second = dslc.loads(SPEC, dtype=dtype, threads=threads)
        second.resume(tmp_path / "new" / "last")
        np.testing.assert_array_equal(second.predict(x), first.predict(x))
        assert_same_bits(second, first)
        history = second.fit(x, y, dev, epochs=4)
        assert_same_bits(second, whole)
        assert told(history.records) == told(wanted.records)
        assert (history.best_epoch, history.stopped) == (wanted.best_epoch, wanted.stopped)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_epoch_of_a_training_that_stops_early(threads: int, tmp_path: Path) -> None:
    """From each epoch's checkpoint on: the patience, the best weights and the end are those of the whole training."""
    x, y = data()
    dev = (x[::-1], np.roll(y, 7))
    whole = dslc.loads(STOPS, threads=threads)
    wanted = whole.fit(x, y, dev, epochs=20, on_epoch=lambda r: whole.checkpoint(tmp_path / f"{r['epoch']:.0f}"))
    assert wanted.stopped == "early" and 1 < len(wanted.records) < 20
    assert wanted.best_epoch == len(wanted.records) - 4
    for epoch in range(1, len(wanted.records)):
        model = dslc.loads(STOPS, threads=threads)
        model.resume(tmp_path / str(epoch))
        history = model.fit(x, y, dev)
        assert_same_bits(model, whole)
        assert (history.best_epoch, history.stopped) == (wanted.best_epoch, "early")
        assert told(history.records) == told(wanted.records)


def test_a_checkpoint_after_fit_goes_on_from_the_last_weights(tmp_path: Path) -> None:
    """The model holds, and predicts with, the best ones."""
    x, y = data()
    dev = (x[::-1], np.roll(y, 7))
    whole, first, second = (dslc.loads(STOPS) for _ in range(3))
    wanted = whole.fit(x, y, dev, epochs=20)
    stop = len(wanted.records) - 2
    assert first.fit(x, y, dev, epochs=stop).best_epoch == stop - 2
    first.checkpoint(tmp_path / "c")
    second.resume(tmp_path / "c")
    np.testing.assert_array_equal(second.predict(x), first.predict(x))
    second.checkpoint(tmp_path / "again")
    first.resume(tmp_path / "again")
    for model in (first, second):
        assert told(model.fit(x, y, dev, epochs=20).records) == told(wanted.records)
        assert_same_bits(model, whole)


def test_weights_changed_behind_fit(tmp_path: Path) -> None:
    """The best weights stay in the checkpoint, also where the network no longer holds them; a copy has its own."""
    x, y = data()
    dev = (x[::-1], np.roll(y, 7))
    model, other = dslc.loads(STOPS), dslc.loads(STOPS)
    model.fit(x, y, dev, epochs=20)
    best, twin = model.copy_weights(), model.copy()
    twin.checkpoint(tmp_path / "before")
    change = [lambda m: m.train_step(x[:4], y[:4]), lambda m: m.parameters.__setitem__("dense1.bias", np.arange(9))]
    for how in change:
        how(model)
        now = model.copy_weights()
        model.checkpoint(tmp_path / "c")
        other.resume(tmp_path / "c")
        assert all(np.array_equal(other.parameters[name], now[name]) for name in now)
        kept = other.fit_state.best_weights if other.fit_state else None
        assert kept is not None and all(np.array_equal(kept[name], best[name]) for name in best)
    twin.checkpoint(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()


def test_batch_all_and_training_by_hand(tmp_path: Path) -> None:
    """Without `fit`, steps are what counts; with `batch all` the capacity comes with the data."""
    text = SPEC.replace("batch     8", "batch     all")
    x, y = data(150)
    whole, first, second = (dslc.loads(text) for _ in range(3))
    for _ in range(5):
        whole.train_step(x, y)
    for _ in range(2):
        first.train_step(x, y)
    first.checkpoint(tmp_path / "c")
    second.resume(tmp_path / "c")
    for _ in range(3):
        second.train_step(x, y)
    assert_same_bits(second, whole)


def test_first_layers_are_fitted_once(tmp_path: Path) -> None:
    """Not again after a resume, nor where they were loaded before it; still to be, where the checkpoint was fresh."""
    x, y = data()
    model, loaded = dslc.loads(SPEC), dslc.loads(SPEC)
    model.checkpoint(tmp_path / "fresh")
    model.fit(x, y, epochs=1)
    model.checkpoint(tmp_path / "trained")
    model.save(tmp_path / "weights")
    loaded.load_weights(tmp_path / "weights")
    loaded.checkpoint(tmp_path / "loaded")
    for name, seen, resumed in (
        ("fresh", x * 2 + 1, model),
        ("trained", x, dslc.loads(SPEC)),
        ("loaded", x, dslc.loads(SPEC)),
    ):
        resumed.resume(tmp_path / name)
        resumed.fit(x * 2 + 1, y, epochs=1)
        mean = resumed.parameters["standardize1.mean"]
        np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-5, atol=1e-6, err_msg=name)


def test_what_was_changed_by_hand_is_gone_on_from(tmp_path: Path) -> None:
    """After `fit` the best weights are held and the last gone on from: unless somebody wrote others."""
    x, y = data()
    model, other = dslc.loads(STOPS), dslc.loads(STOPS)
    model.fit(x, y, (x[::-1], np.roll(y, 7)), epochs=6)
    model.parameters["dense2.bias"] = [1, 2, 3]
    model.checkpoint(tmp_path / "c")
    assert load_file(tmp_path / "c")["last/dense2.bias"].tolist() == [1, 2, 3]
    other.resume(tmp_path / "c")
    assert other.parameters["dense2.bias"].numpy().tolist() == [1, 2, 3]


def test_the_metadata(tmp_path: Path) -> None:
    """The spec as it was trained, its hash, and the version."""
    dslc.loads(SPEC, lr=0.25).checkpoint(tmp_path / "c")
    with safe_open(str(tmp_path / "c"), framework="numpy") as file:
        about = file.metadata()
    assert about["spec"] == SPEC.replace("lr = 0.02", "lr = 0.25")
    assert about["spec_sha256"] == hashlib.sha256(about["spec"].encode()).hexdigest()
    assert about["dslc_version"] == "0.1.0"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "tanh",
            "relu",
            "layer tanh1 is missing here and tanh to 9 in the checkpoint\n  layer relu1 is relu to 9 here",
        ),
        ("dense(9)", "dense(8)", r"layer dense1 is dense\(units=8.* here and dense\(units=9"),
        ("dropout(0.3)", "dropout(0)", r"dropout1 is dropout\(rate=0.0\).* here and dropout\(rate=\.\.\."),
        ("input x: 6", "input x: 5", "input x is 5 here and 6 in the checkpoint"),
        ("adam(lr)", "sgd(lr)", r"the optimizer is sgd here and adam \(which keeps v and s\)"),
        ("cross_entropy", "cross_entropy(label_smoothing=0.1)", r"loss of output is cross_entropy\(.*0.1"),
        (
            "seed",
            "freeze    dense1\n  seed",
            r"to 9 with weight and bias frozen here and dense\([^)]*\) to 9 in the",
        ),
        ("seed", "precision float64\n  seed", "the precision is float64 here and float32 in the checkpoint"),
    ],
)
def test_another_network_is_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    dslc.loads(SPEC).checkpoint(tmp_path / "c")
    other = dslc.loads(SPEC.replace(old, new))
    before = other.copy_weights()
    with pytest.raises(DataError, match=f"(?s)another network:.*{words}"):
        other.resume(tmp_path / "c")
    assert other.step == 0 and other.fit_state is None
    for name, array in other.copy_weights().items():
        np.testing.assert_array_equal(array, before[name])


def test_other_settings_are_told(tmp_path: Path) -> None:
    dslc.loads(SPEC).checkpoint(tmp_path / "c")
    with pytest.warns(UserWarning, match=r"optimizer is adam\(lr=0.25\) here and adam\(lr=0.02\) in"):
        dslc.loads(SPEC, lr=0.25).resume(tmp_path / "c")
    with pytest.warns(UserWarning, match=r"of dense1.weight is l2\(.*0.1.*\) here and none in"):
        dslc.loads(SPEC.replace("dense(9)", "dense(9, l2=0.1)")).resume(tmp_path / "c")
    with pytest.warns(UserWarning, match=r"the rate of dropout1 is 0\.4 here and 0\.3 in"):
        dslc.loads(SPEC.replace("dropout(0.3)", "dropout(0.4)")).resume(tmp_path / "c")
    weak, strong, off = (check_text(SPEC.replace("standardize", f"noise({std})")) for std in (0.25, 0.5, 0))
    assert not differences(weak, strong) and "noise1 is noise(std=0.0) to 6 here" in differences(weak, off)[0]
    assert changed_settings(weak, strong) == ["the std of noise1 is 0.5 here and 0.25 in the checkpoint"]


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    model = dslc.loads(SPEC)
    model.checkpoint(tmp_path / "c")
    model.save(tmp_path / "weights")
    arrays = load_file(tmp_path / "c")
    with safe_open(str(tmp_path / "c"), framework="numpy") as file:
        about = file.metadata()
    (tmp_path / "cut").write_bytes((tmp_path / "c").read_bytes()[:-5])
    del about["checksum"]
    save_file(arrays, tmp_path / "garbled", {**about, "position": "{}"})
    del arrays["state/dense1.weight.v"]
    save_file(arrays, tmp_path / "lacks", about)
    for name, words in (
        ("none", "cannot read"),
        ("cut", "cannot read"),
        ("weights", "is not a checkpoint"),
        ("garbled", "cannot make sense of the checkpoint"),
        ("lacks", r"state/dense1.weight.v \(9, 6\) is not in the file"),
    ):
        with pytest.raises(DataError, match=words):
            model.resume(tmp_path / name)


def test_a_training_that_is_over_says_so(tmp_path: Path) -> None:
    x, y = data()
    model = dslc.loads(SPEC)
    model.fit(x, y)
    model.checkpoint(tmp_path / "c")
    model.resume(tmp_path / "c")
    with pytest.raises(DataError, match=r"training is done \(epoch 7 of 7\): say how many more epochs"):
        model.fit(x, y)
    assert len(model.fit(x, y, epochs=2).records) == 9
    with pytest.raises(DataError, match="judged on a dev set"):
        judged = dslc.loads(SPEC)
        judged.fit(x, y, (x, y), epochs=1)
        judged.checkpoint(tmp_path / "c")
        judged.resume(tmp_path / "c")
        judged.fit(x, y, epochs=1)


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    model = dslc.loads(SPEC)
    model.checkpoint(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    model.parameters["dense1.bias"][2] = np.nan
    with pytest.raises(DataError, match=r"dense1\.bias is not finite"):
        model.checkpoint(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "c", b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "c", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["c"] and (tmp_path / "c").read_bytes() == b"old"


@pytest.mark.parametrize("moment", ["open", "write", "rename"])
def test_ctrl_c_at_any_moment_leaves_a_whole_file(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment in which the file has got its name: it is a clean stop, and the folder holds no other file."""
    write_whole(tmp_path / "c", b"old")
    real_open, real_replace = open, os.replace

    class Interrupted(io.BytesIO):
        def write(self, _: object) -> int:
            raise KeyboardInterrupt

    def opened(path: Path, mode: str) -> object:
        real_open(path, mode).close()
        if moment == "open":
            raise KeyboardInterrupt
        return Interrupted() if moment == "write" else real_open(path, "wb")

    def replaced(old: Path, new: Path) -> None:
        real_replace(old, new)
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "open", opened, raising=False)
    monkeypatch.setattr(os, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "c", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_bytes() == (b"new" if moment == "rename" else b"old")


def test_ctrl_c_while_a_checkpoint_is_renamed_stops_training_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data()
    model, real = dslc.loads(SPEC), os.replace

    def replaced(old: Path, new: Path) -> None:
        real(old, new)
        if Path(new).name == "checkpoint" and model.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(os, "replace", replaced)
        history = model.fit(x, y, callbacks=[RunCheckpoints(tmp_path)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.stopped == "interrupted" and len(history.records) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint", "checkpoint.previous", "spec.net"]
    resumed = dslc.loads(SPEC)
    resumed.resume(tmp_path / "checkpoint")
    assert resumed.epoch == 2


def test_files_are_as_readable_as_the_process_makes_them(tmp_path: Path) -> None:
    """As if they had been opened under their own name: by the umask of now."""
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "c", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o640


def train(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dslc", "train", "s.net", "--data", "d.npz", *arguments]


def finished(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Killed with no warning at any moment: the checkpoint is a whole one, and going on ends in the same bits."""
    (tmp_path / "s.net").write_text(SPEC.replace("epochs    7", "epochs    400"))
    x, y = data(400)
    np.savez(tmp_path / "d.npz", x=x, y=y, x_dev=x[:50], y_dev=y[:50])
    whole = dslc.load(tmp_path / "s.net")
    whole.fit(x, y, (x[:50], y[:50])).to_csv(tmp_path / "whole.csv")
    killed = subprocess.Popen(train("--run", "r"), cwd=tmp_path, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "r" / "checkpoint"
    while not checkpoint.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    left = {p.name for p in (tmp_path / "r").iterdir() if not p.name.endswith(".part")}
    assert left - {"checkpoint.previous"} == {"spec.net", "checkpoint", "split.json"}
    with safe_open(str(checkpoint), framework="numpy") as file:
        assert '"end": 400' in file.metadata()["position"]
    (tmp_path / "r" / ".checkpoint.abc.part").write_bytes(b"half")
    assert load_run(str(tmp_path / "r"), 1).evaluate(x, y)["accuracy"] > 0.5, "what it learned can be used as it is"
    done = finished(train("--resume", "r"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert 0 < done.stderr.count("epoch ") < 400
    for name, array in load_file(tmp_path / "r" / "weights.safetensors").items():
        np.testing.assert_array_equal(array, whole.parameters[name].numpy())
    files = (tmp_path / "whole.csv", tmp_path / "r" / "history.csv")
    histories = [np.genfromtxt(file, delimiter=",", names=True) for file in files]
    for column in set(histories[0].dtype.names) - {"seconds"}:
        np.testing.assert_array_equal(histories[0][column], histories[1][column])
    assert not list((tmp_path / "r").glob(".*")), "what the killed process left is gone"


KILLED = """
import os, signal, sys
from pathlib import Path
real = os.replace
def replace(old, new):
    if Path(new).name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    real(old, new)
os.replace = replace
from dslc.cli.main import run
run(sys.argv[2:])
"""
"""A command line that is killed in the moment in which a file would get its name."""


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("file", ["weights.safetensors", "history.csv", "run.json", "report.html"])
def test_a_run_that_was_killed_after_its_last_epoch_is_finished(
    file: str, early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--resume` writes what a run lacks that is done: the best weights, history, facts and report, as if nobody had
    killed it. Once they are there it says again that nothing is left to do."""
    monkeypatch.chdir(tmp_path)
    text = SPEC.replace("epochs    7", "epochs    40\n  stop early(patience=2)").replace("lr = 0.02", "lr = 0.5")
    Path("s.net").write_text(text if early else SPEC)
    x, y = data(100)
    np.savez("d.npz", x=x, y=y)
    command = ["train", "s.net", "--data", "d.npz", "--progress", "none"]
    assert run([*command, "--run", "whole"]) == 0
    stopped = json.loads(Path("whole/run.json").read_text())["stopped"]
    assert stopped == ("early" if early else "epochs")
    killed = subprocess.run([sys.executable, "-c", KILLED, file, *command, "--run", "r"], check=False)
    assert killed.returncode == -signal.SIGKILL and not Path("r", file).exists() and Path("r/checkpoint").exists()
    capsys.readouterr()
    assert run([*command, "--resume", "r"]) == 0
    assert "what the run lacks is written" in capsys.readouterr().err
    assert_same_run(Path("r"), Path("whole"))
    assert run([*command, "--resume", "r"]) == 1
    assert "say how many more epochs to train" in capsys.readouterr().err


def test_a_run_that_was_killed_when_it_had_gone_on_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights and the report that lie there are those of before it went on."""
    monkeypatch.chdir(tmp_path)
    Path("s.net").write_text(SPEC)
    x, y = data(100)
    np.savez("d.npz", x=x, y=y)
    command = ["train", "s.net", "--data", "d.npz", "--progress", "none"]
    for folder in ("whole", "r"):
        assert run([*command, "--run", folder]) == 0
    assert run([*command, "--resume", "whole", "--epochs", "3"]) == 0
    more = ["--resume", "r", "--epochs", "3"]
    killed = subprocess.run([sys.executable, "-c", KILLED, "weights.safetensors", *command, *more], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(np.genfromtxt("r/history.csv", delimiter=",", names=True)) == 7
    assert run([*command, "--resume", "r"]) == 0
    assert_same_run(Path("r"), Path("whole"))


@pytest.mark.slow
def test_a_killed_run_goes_on_with_its_own_split(tmp_path: Path) -> None:
    """Killed before its end, it has learned from 60 of 100 examples: what goes on learns from the same ones, whether
    the run is named or its checkpoint."""
    (tmp_path / "s.net").write_text(SPEC.replace("epochs    7", "epochs    400"))
    x, y = data(100)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    parts = load_dataset(str(tmp_path / "d.npz")).split(parse_shares("60/20/20", 0), 3).parts
    whole = dslc.load(tmp_path / "s.net")
    whole.fit(parts["train"].x, parts["train"].y, (parts["dev"].x, parts["dev"].y))
    killed = subprocess.Popen(
        train("--run", "r", "--split", "60/20/20"), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while not (tmp_path / "r" / "checkpoint").exists():
        assert killed.poll() is None
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "r" / "history.csv").exists()
    for number, resumed in enumerate(("r/checkpoint", "r")):
        done = finished(train("--resume", resumed, "--run", f"on{number}"), tmp_path)
        assert done.returncode == 0, done.stderr
        on = tmp_path / f"on{number}"
        for name, array in load_file(on / "weights.safetensors").items():
            np.testing.assert_array_equal(array, whole.parameters[name].numpy())
        assert (on / "split.json").read_bytes() == (tmp_path / "r" / "split.json").read_bytes()


def test_the_split_is_written_before_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And goes again with its folder where training fails before there is anything else."""
    monkeypatch.chdir(tmp_path)
    Path("s.net").write_text(SPEC)
    x, y = data(100)
    np.savez("d.npz", x=x, y=y)
    found = []

    def fails(*_: object, **__: object) -> None:
        found.append(partition_of("r"))
        raise DataError("it fails")

    monkeypatch.setattr(Model, "fit", fails)
    assert run(["train", "s.net", "--data", "d.npz", "--run", "r", "--split", "60/20/20"]) == 1
    assert "it fails" in capsys.readouterr().err and not Path("r").exists()
    (partition,) = found
    assert partition is not None and partition.shares == parse_shares("60/20/20", 0)
    assert load_dataset("d.npz").is_of(partition)


def ready_to_train(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A spec and data in the folder, which is the current one then, and the call that trains."""
    monkeypatch.chdir(folder)
    Path("s.net").write_text(SPEC)
    x, y = data()
    np.savez("d.npz", x=x, y=y)
    return ["train", "s.net", "--data", "d.npz", "--progress", "none"]


def test_a_run_remembers_values_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """-D is not said again at --resume; what is said there counts from then on."""
    call = ready_to_train(tmp_path, monkeypatch)
    assert run([*call, "--run", "r", "-D", "epochs=1", "--seed", "7"]) == 0
    for more, epochs in (([], 1), (["-D", "epochs=3"], 3), ([], 3)):
        assert run([*call, "--resume", "r", "--epochs", "1", *more]) == 0
        network = check_file("r/spec.net")
        assert network.training is not None and (network.training.seed, network.training.epochs) == (7, epochs)
    assert "here and" not in capsys.readouterr().err.replace("epochs is 3 here and 1 in the checkpoint", "")
    Path("r/overrides.json").write_text("{")
    assert run([*call, "--resume", "r"]) == 1 and "overrides.json is damaged" in capsys.readouterr().err


def test_a_run_with_values_from_outside_that_was_killed_before_its_first_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins anew with them; one that fails there, or is interrupted, leaves no folder."""
    call = [*ready_to_train(tmp_path, monkeypatch), "--split", "50/50"]

    def stopped(*_: object, **__: object) -> None:
        folder = Path("r")
        assert {path.name for path in folder.iterdir()} == {"split.json", "overrides.json"}
        for name in ("split.json", "overrides.json"):
            (kept / name).write_bytes((folder / name).read_bytes())
        (folder / ".checkpoint.part").write_bytes(b"half")
        raise KeyboardInterrupt

    kept = Path("killed")
    kept.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Model, "fit", stopped)
        run([*call, "--run", "r", "--seed", "7"])
    assert not Path("r").exists()
    for more in ((), ("spec.net", ".checkpoint.part")):
        for name in more:
            (kept / name).write_text("half")
        capsys.readouterr()
        assert run([*call, "--resume", "killed", "--epochs", "1"]) == 0
        assert "killed was stopped before its first checkpoint: training begins anew" in capsys.readouterr().err
        network = check_file("killed/spec.net")
        assert network.training is not None and network.training.seed == 7
        for path in kept.iterdir():
            if path.name not in ("split.json", "overrides.json"):
                path.unlink()


def test_resume_on_the_command_line_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "s.net").write_text(SPEC)
    x, y = data()
    np.savez(tmp_path / "d.npz", x=x, y=y)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no run")
    for arguments, status, words in (
        (("--resume", "other"), 1, "there is no checkpoint at other"),
        (("--resume", "gone"), 1, "there is no checkpoint at gone"),
        (("--resume", "other", "--weights", "w"), 2, "leave out --weights"),
    ):
        done = finished(train(*arguments), tmp_path)
        assert done.returncode == status and words in done.stderr and "Traceback" not in done.stderr


def test_a_spec_that_is_right_only_with_other_values(tmp_path: Path) -> None:
    """The text is kept with the values that the network has, also where those of the file would be refused."""
    text = SPEC.replace("param lr", "param units = 0\nparam lr").replace("dense(9)", "dense(units)")
    model = dslc.loads(text, units=4, lr=1e-7)
    model.checkpoint(tmp_path / "c")
    dslc.loads(text, units=4, lr=1e-7).resume(tmp_path / "c")
    with pytest.raises(DataError, match=r"dense1 is dense\(units=5"):
        dslc.loads(text, units=5, lr=1e-7).resume(tmp_path / "c")


def test_all_that_a_network_keeps_is_in_the_checkpoint() -> None:
    """What outlives a step is a parameter, optimizer state, or made anew: gradients, mini-batch, what is prepared."""
    model = dslc.loads(SPEC)
    kept = {name for name in model.plan.kept if not name.endswith(("_grad", "_staging"))}
    known = {name.replace(".", "_") for name in model.parameters}
    known |= {f"{name.replace('.', '_')}_state" for name in model.compiled.states()}
    assert known <= kept and kept - known <= {"prepared"}, kept - known


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write to .*gone: No such file"):
        RunCheckpoints(tmp_path / "gone").on_train_begin(dslc.loads(SPEC))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*file/c: "):
        dslc.loads(SPEC).checkpoint(tmp_path / "file" / "c")
