"""Locks that last while a process works on something, and never longer than the process lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 600.0
"""How many seconds others are waited for at most: a machine that has lost its power may leave its locks on a server."""
PAUSE = 0.02
"""How many seconds pass before a lock is tried again."""
_held: set[int] = set()


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether the folder could be locked: not if another process has it, which is not waited for. Nothing is written:
    it is the open folder that is locked, and the system unlocks it when the process ends, however it does. A file
    system that knows no locks grants every one.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    _held.add(descriptor)
    try:
        yield _taken(descriptor)
    finally:
        _close(descriptor)


@contextmanager
def one_at_a_time(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """One process, or thread, after the other: whoever comes while another is inside waits. The file is there only
    meanwhile. Where it cannot be made or locked, or after so many seconds, nobody waits."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError:
        descriptor = -1
    if descriptor < 0:
        yield
        return
    _held.add(descriptor)
    try:
        end = time.monotonic() + patience
        while not _taken(descriptor) and time.monotonic() < end:
            time.sleep(PAUSE)
        yield
    finally:
        with suppress(OSError):  # another has removed it
            path.unlink()
        _close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor in _held:
        _held.remove(descriptor)
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _close_in_child() -> None:
    """A forked process shares the lock, and may outlive the one that took it."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_in_child)
