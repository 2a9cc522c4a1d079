"""A training that is killed at any moment is resumed, and ends as one that nobody has disturbed: bit for bit, with all
files. Trainings run in forked processes here, which have what they need loaded already."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import dslc
from dslc.cli.main import run
from dslc.language.diagnostics import DataError
from dslc.locks import locked
from dslc.runtime.model import Model
from dslc.runtime.runs.checkpoints import resume_newest
from dslc.runtime.training import fit
from kills import (
    COMMAND,
    SPEC,
    assert_finished,
    fail_at_calls,
    finish,
    forked,
    fresh,
    kill_at_calls,
    kill_at_moments,
    prepare,
)
from system_calls import SUPPORTED


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with spec, data and the run `whole`, that nobody has disturbed."""
    before = Path.cwd()
    yield prepare(tmp_path_factory.mktemp("killed"))
    os.chdir(before)


@pytest.mark.slow
@pytest.mark.skipif(not SUPPORTED, reason="system calls are known for Linux on x86-64")
def test_killed_at_system_calls(whole: Path) -> None:
    """At some of those that change the folder, and a second time when it goes on; `make kills` tries every one."""
    found = kill_at_calls(whole, 9)
    assert found.total() >= 10 and found["write"] and found["rename"] + found["close"]


@pytest.mark.slow
@pytest.mark.skipif(not SUPPORTED, reason="system calls are known for Linux on x86-64")
def test_a_disk_that_is_full_from_a_call_on(whole: Path) -> None:
    assert fail_at_calls(whole, 13).total() >= 4


@pytest.mark.slow
def test_killed_at_random_moments(whole: Path) -> None:
    assert kill_at_moments(whole, 10)


@pytest.mark.parametrize("damage", ["cut", "bit", "other", "gone"])
def test_the_checkpoint_before_is_used(damage: str, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the newest is damaged, gone, or belongs to another network; a note says so."""
    path = fresh(whole)
    assert run([*COMMAND, "--run", "r"]) == 0
    newest = path / "checkpoint"
    data = bytearray(newest.read_bytes())
    if damage == "gone":
        newest.unlink()
    elif damage == "other":
        dslc.loads(SPEC.replace("dense(5)", "dense(6)")).checkpoint(newest)
    else:
        data[-9] ^= 4
        newest.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    with pytest.warns(UserWarning, match="checkpoint before|the one before"):
        assert run([*COMMAND, "--resume", "r"]) == 0
    assert_finished(path, whole / "whole")


def test_a_damaged_checkpoint_that_nothing_comes_before_is_told(whole: Path) -> None:
    path = fresh(whole)
    assert run([*COMMAND, "--run", "r", "--epochs", "1"]) == 0
    for name in ("checkpoint", "checkpoint.previous"):
        (path / name).write_bytes((path / name).read_bytes()[:99])
    with pytest.raises(DataError, match=r"cannot read r/checkpoint: "):
        resume_newest(dslc.loads(SPEC), "r")


def test_epochs_and_weights_of_a_run_killed_in_its_first_epoch(whole: Path) -> None:
    """--epochs, --weights and --split were given once, and need not be given again."""
    options = ["--epochs", "2", "--weights", "whole/weights.safetensors", "--split", "50/30/20"]
    path = fresh(whole)
    assert run([*COMMAND, "--run", "r", *options]) == 0
    path.rename(whole / "wanted")

    def work() -> int:
        Model.train_batches = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        return run([*COMMAND, "--run", "r", *options])

    assert forked(work) == -signal.SIGKILL
    assert {p.name for p in path.iterdir()} == {"spec.net", "split.json", "checkpoint"}
    assert run([*COMMAND, "--resume", "r"]) == 0
    assert_finished(path, whole / "wanted")


def test_killed_within_an_epoch(whole: Path) -> None:
    """With a checkpoint after every slice of mini-batches, which goes on from there."""
    for number in (3, 13):
        path, left = fresh(whole), [number]

        def work(left: list[int] = left) -> int:
            real, fit.SLICE_SECONDS = Model.train_batches, 0

            def killed(*arguments: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments)

            Model.train_batches = killed
            return run([*COMMAND, "--run", "r", "--checkpoint-every", "0.000001s"])

        assert forked(work) == -signal.SIGKILL
        model = dslc.loads(SPEC)
        model.resume(path / "checkpoint")
        assert model.step == number and number % 8
        assert run([*COMMAND, "--resume", "r"]) == 0
        assert_finished(path, whole / "whole")


def test_a_run_that_is_done_is_finished_in_another_folder(whole: Path) -> None:
    assert run([*COMMAND, "--resume", "whole", "--run", str(fresh(whole))]) == 0
    assert load_file("r/weights.safetensors").keys() == load_file("whole/weights.safetensors").keys()


def test_two_trainings_in_one_folder(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is refused, whatever it wants, until the first has ended; also if that was killed."""
    path = fresh(whole)
    path.mkdir()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(path) as ours:
            os.write(tell, b"1" if ours else b"0")
            time.sleep(60)
            os._exit(0)
    assert os.read(ready, 1) == b"1"
    for how in (["--run", "r"], ["--run", "r", "--overwrite"], ["--resume", "r"]):
        assert run([*COMMAND, *how]) == 1
        assert "another training is writing to r" in capsys.readouterr().err
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert run([*COMMAND, "--run", "r"]) == 0


def test_a_forked_process_keeps_no_lock(tmp_path: Path) -> None:
    """As a process that decodes images, and outlives the training that was killed."""
    with locked(tmp_path) as ours:
        assert ours
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(tell, b"1")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
    with locked(tmp_path) as ours:
        assert ours
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("size", [0, 60, 300, 3000])
def test_a_full_disk(size: int, whole: Path) -> None:
    """No file may be larger than so many bytes: training ends with one line, and nothing is half-written."""
    path = fresh(whole)
    ready, tell = os.pipe()

    def work() -> int:
        sys.stdout = sys.stderr = os.fdopen(tell, "w", buffering=1)  # no file: files have limits
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return run([*COMMAND, "--run", "r"])

    assert forked(work) == 1
    os.close(tell)
    said = os.read(ready, 10000).decode()
    assert said.startswith("error: cannot write ") and os.strerror(errno.EFBIG) in said and said.count("\n") == 1
    assert not path.exists() or not [p for p in path.iterdir() if p.name.endswith(".part")]
    assert finish(path) == 0
    assert_finished(path, whole / "whole")


def test_a_folder_that_vanishes(whole: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = fresh(whole)

    def work() -> int:
        real = Model.train_batches

        def gone(*arguments: object) -> object:
            fresh(whole)
            return real(*arguments)

        Model.train_batches = gone
        return run([*COMMAND, "--run", "r"])

    assert forked(work) == 1
    assert capfd.readouterr().err == f"error: cannot write to r: {os.strerror(errno.ENOENT)}\n"
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(whole: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = fresh(whole)
    path.mkdir()
    path.chmod(0o500)
    assert run([*COMMAND, "--run", "r"]) == 1
    path.chmod(0o700)
    assert os.strerror(errno.EACCES) in capfd.readouterr().err
