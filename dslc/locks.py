"""A lock on a folder that lasts while a process works there, and never longer than the process lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
