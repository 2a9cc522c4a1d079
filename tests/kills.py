"""A training that is killed, or whose disk is full, at any system call that changes its folder; and at random moments.
It is resumed, and ends in the bits and files of one that nobody has disturbed.

    python tests/kills.py --moments 200        every call, and so many moments: `make kills`
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from run_folders import assert_same_run

from dslc.cli.main import run
from system_calls import Traced

SPEC = """net Killed {
  input x: 4
  standardize -> dense(5) -> relu -> dropout(0.2) -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.02)
  batch     8
  epochs    3
  seed      3
}
"""
COMMAND = ["train", "s.net", "--data", "d.npz", "--progress", "none", "--threads", "1"]
NEW, RESUMED = [*COMMAND, "--run", "r"], [*COMMAND, "--resume", "r"]
FILES = {"checkpoint", "checkpoint.previous", "history.csv", "report.html", "run.json", "spec.net", "split.json",
         "weights.safetensors"}  # fmt: skip
TAKES_SPACE = {"open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "link", "linkat", "mkdir",
               "mkdirat", "rename", "renameat", "renameat2", "fallocate", "sendfile", "fsync"}  # fmt: skip
"""Calls that fail where a disk is full or broken."""


def prepare(folder: Path) -> Path:
    """Writes spec and data, and the run `whole` that nobody disturbs, and goes there. Returns the folder."""
    os.chdir(folder)
    (folder / "s.net").write_text(SPEC)
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, 60)
    np.savez(folder / "d.npz", x=draw.standard_normal((60, 4)).astype(np.float32) + y[:, None], y=y)
    assert run([*COMMAND, "--run", "whole"]) == 0
    return folder


def forked(work: Callable[[], int]) -> int:
    """What a forked process that does this ended with: its status, or minus the signal that has killed it."""
    child = os.fork()
    if child == 0:
        status = 70
        signal.alarm(120)  # it never outlives the test for long
        try:
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fresh(folder: Path) -> Path:
    """The path `r`, where there is nothing yet."""
    path = folder / "r"
    if path.exists():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    return path


def finish(path: Path) -> int:
    """Resumes a run as a person would who knows nothing of how it ended, unless all of it is there."""
    if path.exists() and {file.name for file in path.iterdir()} == FILES:
        return 0
    return run([*COMMAND, "--resume" if path.exists() else "--run", path.name])


def assert_finished(found: Path, wanted: Path) -> None:
    """All files are there, none that is half-written, and what they hold is the same."""
    assert {p.name for p in found.iterdir()} == FILES
    assert_same_run(found, wanted, ("weights.safetensors", "checkpoint"))


def killed_after(seconds: float, arguments: list[str]) -> int:
    """Trains in a process that is killed after so many seconds, if it still runs."""

    def work() -> int:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return run(arguments)

    return forked(work)


# ------------------------------------------------------------------------------------------------ calls


def calls_of(arguments: list[str]) -> list[str]:
    """The calls of a training that change its folder."""
    traced = Traced(lambda: run(arguments))
    names = [call.name for call in traced.calls("r")]
    assert traced.status == 0
    return names


def killed_at(number: int, arguments: list[str]) -> str:
    """Trains in a process that is killed before the call of this number, or in the middle of it if it writes. Returns
    its name; nothing if there were fewer calls."""
    traced = Traced(lambda: run(arguments))
    for at, call in enumerate(traced.calls("r")):
        if at == number:
            if call.name == "write":
                traced.write_half(call)
            traced.kill()
            assert traced.status == -signal.SIGKILL
            return call.name
    assert traced.status == 0
    return ""


def kill_at_calls(folder: Path, step: int = 1) -> Counter[str]:
    """Killed at every call, or each `step`-th, and a second time when it goes on. Returns how often, by call."""
    fresh(folder)
    count, found = len(calls_of(NEW)), Counter[str]()
    for number in range(count % step, count, step):
        path = fresh(folder)
        found[killed_at(number, NEW)] += 1
        if path.exists():
            found[killed_at(number % 11, RESUMED)] += 1
        found.pop("", None)  # the second came to its end before its call
        assert finish(path) == 0, number
        assert_finished(path, folder / "whole")
    return found


def fail_at_calls(folder: Path, step: int = 1, error: int = errno.ENOSPC) -> Counter[str]:
    """From every call on, or each `step`-th, all that would take space on the disk fail: training ends with one line,
    and no file is half-written. Returns how often, by the call that failed first."""
    fresh(folder)
    count, found = sum(name in TAKES_SPACE for name in calls_of(NEW)), Counter[str]()
    for number in range(count % step, count, step):
        path = fresh(folder)
        with tempfile.TemporaryFile("w+") as said:
            found[_failing_from(number, error, said.fileno())] += 1
            said.seek(0)
            lines = said.read().splitlines()
        assert [line for line in lines if os.strerror(error) in line] == lines[-1:], (number, lines)
        assert not path.exists() or not [p.name for p in path.iterdir() if p.name.endswith(".part")], number
        assert finish(path) == 0, number
        assert_finished(path, folder / "whole")
    return found


def _failing_from(number: int, error: int, output: int) -> str:
    """Trains with a disk that is full from the call of this number on. Returns that call's name."""

    def work() -> int:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
        return run(NEW)

    traced, names = Traced(work), []
    for call in traced.calls("r"):
        if call.name not in TAKES_SPACE:
            continue
        names.append(call.name)
        if len(names) > number:
            traced.fail(error)
    assert traced.status == 1, (number, traced.status)
    return names[number]


# ------------------------------------------------------------------------------------------------ moments


def kill_at_moments(folder: Path, count: int, seed: int = 5) -> int:
    """Killed at so many random moments. Returns how often that was before the end."""
    fresh(folder)
    started = time.monotonic()
    assert forked(lambda: run(NEW)) == 0
    lasts, draw, killed = time.monotonic() - started, random.Random(seed), 0
    for _ in range(count):
        path = fresh(folder)
        killed += killed_after(draw.uniform(0.02, 1) * lasts, NEW) == -signal.SIGALRM
        assert finish(path) == 0
        assert_finished(path, folder / "whole")
    return killed


def main() -> None:
    """Prints how often it was killed where."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moments", type=int, default=200)
    options = parser.parse_args()
    said = sys.stdout
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            folder = prepare(Path(name))
            killed = kill_at_calls(folder)
            print(f"killed at {killed.total()} calls: {dict(killed)}", file=said, flush=True)
            for error in (errno.ENOSPC, errno.EIO, errno.EROFS):
                failed = fail_at_calls(folder, error=error)
                print(f"{os.strerror(error)} from {failed.total()} calls on: {dict(failed)}", file=said, flush=True)
            before_the_end = kill_at_moments(folder, options.moments)
        print(f"killed at {options.moments} moments, {before_the_end} of them before the end")
        os.chdir("/")
    print("all were resumed to the same bits")


if __name__ == "__main__":
    os.environ.setdefault("DSLC_THREADS", "1")
    main()
