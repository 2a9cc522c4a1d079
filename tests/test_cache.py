"""The cache holds code that is run: it is used only if nobody else can write there; what is broken is made again."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc import cache, locks
from dslc.cache import cache_folder
from dslc.codegen import build
from dslc.language.diagnostics import UsageError

SPEC = "net Cached {\n  input x: 3\n  dense(2) -> softmax\n}\n"
PREDICT = "import sys, dslc; print(dslc.load('s.net').predict([[1, 2, 3]]).tolist())"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, which is asked for anew."""
    monkeypatch.setenv("DSLC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "cache_folder", cache_folder.__wrapped__)
    monkeypatch.setattr(build, "cache_folder", cache_folder.__wrapped__)
    return tmp_path / "cache"


def module_in(folder: Path) -> Path:
    (found,) = folder.glob("_cached_*.so")
    return found


def predicted() -> list[list[float]]:
    return dslc.loads(SPEC).predict(np.ones((1, 3), np.float32)).tolist()


def test_the_folder_is_private(folder: Path) -> None:
    before = os.umask(0)
    try:
        predicted()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(module_in(folder).stat().st_mode) & 0o022 == 0


def test_what_is_kept_of_the_compiler_is_whole_or_asked_again(folder: Path) -> None:
    build.first_compiler.cache_clear()
    wanted = predicted()
    (known,) = folder.glob("compiler-*")
    content = known.read_bytes()
    for broken in (content[: len(content) // 2], b"\xff" + content, b""):
        known.write_bytes(broken)
        build.first_compiler.cache_clear()
        module_in(folder).unlink()
        assert predicted() == wanted and known.read_bytes() == content


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_that_others_can_write_is_not_used(mode: int, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.warns(
        UserWarning, match="can be written by others: delete it, or name another in DSLC_CACHE; compiling"
    ):
        used = cache_folder.__wrapped__()
    assert used != folder and stat.S_IMODE(used.stat().st_mode) == 0o700
    used.rmdir()


def test_a_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    other_than(folder, monkeypatch)
    with pytest.warns(UserWarning, match="belongs to another user"):
        used = cache_folder.__wrapped__()
    assert used != folder
    used.rmdir()


def other_than(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a file to another user, or makes this process think that it is one."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


@pytest.mark.parametrize("how", ["another user", "others can write"])
def test_a_planted_module_is_not_loaded(how: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = predicted()
    module = module_in(folder)
    if how == "another user" and os.geteuid() == 0:
        os.chown(module, 12345, -1)
    else:
        module.chmod(0o777)
    planted = module.stat().st_ino
    with pytest.warns(UserWarning, match="it is compiled again"):
        assert predicted() == before
    assert module.stat().st_ino != planted and build._usable(module)


def test_a_module_cut_anywhere_is_made_again(folder: Path) -> None:
    """Also by a page, which the system's loader does not notice, and with a flipped bit."""
    before = predicted()
    module = module_in(folder)
    whole = module.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for broken in (b"", whole[:100], whole[:-1], whole[: len(whole) // 2], whole[:-4096], bytes(flipped)):
        module.unlink()
        module.write_bytes(broken)
        with pytest.warns(UserWarning, match="is damaged: it is compiled again"):
            assert not build._usable(module)
    with pytest.warns(UserWarning, match="is damaged: it is compiled again"):
        assert predicted() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predicted() == before


@pytest.fixture
def slow_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where `compiling` appears when a module is compiled, which goes on when there is `go`."""
    program = tmp_path / "slow-cc"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *kernels.o*)\n echo >> {tmp_path}/compiling\n'
        f' until test -e {tmp_path}/go; do sleep 0.02; done;;\nesac\nexec gcc "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    (tmp_path / "s.net").write_text(SPEC)
    return tmp_path


def compiling(folder: Path) -> subprocess.Popen[str]:
    """A process that compiles there, and does not go on."""
    command = [sys.executable, "-c", PREDICT]
    started = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=subprocess.PIPE, text=True)
    while not (folder / "compiling").exists():
        assert started.poll() is None
        time.sleep(0.01)
    return started


def test_one_process_compiles_and_the_other_waits(
    folder: Path, slow_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, waits, pause = compiling(slow_compiler), [], time.sleep

    def wait(seconds: float) -> None:
        waits.append(seconds)
        (slow_compiler / "go").touch()
        pause(seconds)

    monkeypatch.setattr(locks.time, "sleep", wait)
    mine = dslc.loads(SPEC).predict([[1, 2, 3]]).tolist()
    theirs, _ = other.communicate()
    assert theirs.strip() == str(mine)
    assert waits
    assert len((slow_compiler / "compiling").read_text()) == 2  # kernels and the module, once
    assert not list(folder.glob(".*.part"))


def test_nobody_waits_for_a_process_that_died(
    folder: Path, slow_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its compiler may live on."""
    with compiling(slow_compiler) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        (slow_compiler / "go").touch()
        monkeypatch.setattr(locks.time, "sleep", lambda _: pytest.fail("it waits"))
        assert np.isfinite(predicted()).all()


def test_where_nothing_can_be_locked_all_compile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", nowhere)
    assert np.isfinite(predicted()).all()


@pytest.mark.slow
def test_a_compile_that_is_killed(folder: Path, tmp_path: Path) -> None:
    """At several moments; then another one works, and what was left is swept a day later."""
    (tmp_path / "s.net").write_text(SPEC)
    command = [sys.executable, "-c", PREDICT]
    for seconds in (0.3, 0.5, 0.7, 0.9):
        killed = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("[[") and not done.stderr, done.stderr


def test_what_a_killed_process_left_is_swept(folder: Path) -> None:
    """After a day: before, another process may be at it."""
    folder.mkdir(mode=0o700)
    for age, name in ((25, "old"), (1, "new")):
        (folder / f"dslc-{name}").mkdir()
        (folder / f"dslc-{name}" / "kernels.o").write_text("")
        (folder / f".grammar.{name}.part").write_text("")
        for left in (f"dslc-{name}", f".grammar.{name}.part"):
            os.utime(folder / left, (time.time() - age * 3600,) * 2)
    assert cache_folder.__wrapped__() == folder
    assert sorted(p.name for p in folder.iterdir()) == [".grammar.new.part", "dslc-new"]


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match=r"cannot compile into .*cache: No space left on device"):
        predicted()


def test_the_compiler_is_run_without_a_shell(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What $DSLC_CFLAGS and the folder's name hold is never carried out."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("DSLC_CACHE", str(tmp_path / f"a;touch {mark.name};$(touch {mark.name})"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSLC_CFLAGS", f"-O1 -DX=;touch${{IFS}}{mark}")
    predicted()
    assert not mark.exists()


@pytest.mark.parametrize("variable", ["DSLC_CFLAGS", "CC"])
def test_a_quote_that_stays_open(variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "gcc '")
    with pytest.raises(UsageError, match=rf"{variable} cannot be read \(no closing quotation\): gcc '"):
        predicted()


def test_flags_that_make_wrong_numbers_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLC_CFLAGS", "-O1 -ffast-math")
    with pytest.raises(UsageError, match="DSLC_CFLAGS has -ffast-math, which makes wrong numbers"):
        predicted()
