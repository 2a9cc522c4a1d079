"""Ctrl-C and SIGTERM at any moment of `dslc train`: the exit status tells, all lines are whole, no process stays, and
the run goes on with --resume to the bits of one that nobody has interrupted."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dslc.cli.main import run
from dslc.cli.signals import SIGNALS, interrupted_status, listen
from dslc.runtime.training import interrupts
from dslc.runtime.training.callbacks import Callback, Callbacks
from dslc.runtime.training.history import History
from dslc.runtime.training.interrupts import undisturbed
from kills import COMMAND, assert_finished, fresh
from test_crashes import whole

assert whole  # a fixture: a finished run in a folder with its spec and data
LINE = re.compile(r"epoch \d  loss .* lr 0\.02  \d\.\d s|(note|train|dev|run|report|interrupted): .*|interrupted")


def interrupted(after: float, number: signal.Signals, path: Path) -> tuple[int, str]:
    """Trains in a forked process that gets a signal after so many seconds; its status and all that it has printed."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.alarm(60)  # it never outlives the test for long
            signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
            listen()
            sys.stdout = sys.stderr = os.fdopen(tell, "w", buffering=1)
            os.write(tell, b"\0")
            status = run([*(word.replace("none", "plain") for word in COMMAND), "--run", path.name])
        except KeyboardInterrupt:
            status = 71  # it came before the command line was there to answer
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)
    os.close(tell)
    with os.fdopen(ready, "rb") as said:
        said.read(1)
        time.sleep(after)
        os.kill(child, number)
        text = said.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


@pytest.mark.parametrize("moments", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_at_random_moments(moments: int, whole: Path) -> None:
    draw, found = random.Random(moments), set()
    path = fresh(whole)
    began = time.monotonic()
    assert run([*COMMAND, "--run", path.name]) == 0
    lasts = time.monotonic() - began
    for moment in range(moments):
        number = (signal.SIGINT, signal.SIGTERM)[moment % 2]
        status, text = interrupted(draw.uniform(0, 1.2) * lasts, number, fresh(whole))
        assert status in (0, 71, 128 + number), text
        found.add(status)
        assert not text or text.endswith("\n"), text
        assert all(LINE.fullmatch(line) for line in text.splitlines()), text
        kept = path / "weights.safetensors"
        if kept.exists():
            best = {n.removeprefix("best/"): a for n, a in load_file(path / "checkpoint").items() if n[:5] == "best/"}
            for name, array in (load_file(kept) if best else {}).items():
                np.testing.assert_array_equal(array, best[name])
        if status != 0:
            run([*COMMAND, "--resume" if path.exists() else "--run", path.name])  # an error if it came behind the end
        assert_finished(path, whole / "whole")
    assert found & {130, 143}


START = """
import os, signal, sys
from dslc.__main__ import main
from dslc.cli.signals import end_at_once

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
end_at_once()  # as main does first
os.write(1, b".")
sys.argv = ["dslc", "train", "nothing.net", "--data", "iris"]
main()
"""
"""Tells when signals are answered: Python's own start cannot be."""


@pytest.mark.parametrize("moments", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_while_the_command_is_imported(moments: int, tmp_path: Path) -> None:
    for moment in range(moments):
        number = (signal.SIGINT, signal.SIGTERM)[moment % 2]
        command = subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert command.stdout is not None and command.stdout.read(1) == b"."
        time.sleep(0.05 + 0.08 * moment)
        command.send_signal(number)
        _, said = command.communicate(timeout=60)
        lines = said.decode().splitlines()
        if command.returncode == 1:  # it came behind the end
            assert moment > 1 and len(lines) > 1 and "Traceback" not in lines[0]
        else:
            assert (command.returncode, lines[-1]) == (128 + number, "interrupted") and "Traceback" not in lines[0]


def test_an_import_is_whole_and_cannot_swallow_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swallow = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException:\n    pass\n"
    (tmp_path / "swallowing.py").write_text(f"{swallow}whole = 1\n")
    (tmp_path / "around_it.py").write_text("from swallowing import whole\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    profiler = sys.getprofile()
    sys.setprofile(None)
    try:
        listen()
        with pytest.raises(KeyboardInterrupt):
            import around_it  # noqa: F401
        assert sys.modules["around_it"].whole == 1 and interrupted_status() == 143
        assert sys.getprofile() is None
    finally:
        sys.setprofile(profiler)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_must_be_whole_is_done_first() -> None:
    """A signal within is answered behind it, once; in other threads nothing is put off."""
    done: list[str] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)

    def elsewhere() -> None:
        with undisturbed():
            done.append("elsewhere")

    worker = threading.Thread(target=elsewhere)
    worker.start()
    worker.join()
    assert done == ["whole", "elsewhere"]


@pytest.mark.parametrize("number", interrupts.SIGNALS)
@pytest.mark.parametrize("moment", range(4))
def test_no_signal_is_lost_while_handlers_change(moment: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes behind each of the changes is answered, and so are those that come later."""
    change, changes = signal.signal, iter(range(100))
    before = {each: change(each, signal.default_int_handler) for each in interrupts.SIGNALS}

    def changed(each: int, handler: Any) -> Any:
        was = change(each, handler)
        if next(changes) == moment:
            os.kill(os.getpid(), number)
        return was

    try:
        with monkeypatch.context() as patched:
            patched.setattr(signal, "signal", changed)
            with pytest.raises(KeyboardInterrupt), undisturbed():
                pass
        for each in interrupts.SIGNALS:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), each)
    finally:
        for each, handler in before.items():
            change(each, handler)


def test_what_begins_is_begun_before_it_ends() -> None:
    """A signal in the first moment of `on_train_begin`: `on_train_end` finds what that sets; nothing else begins."""
    told: list[str] = []

    class Late(Callback):
        def on_train_begin(self, model: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            self.name = "late"

        def on_train_end(self, history: History) -> None:
            told.append(self.name)

    both = Callbacks([Late(), Late()])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            both.begin(None)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)
    both.end(History())
    assert told == ["late"]
