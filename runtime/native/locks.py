"""Locks of what one thread at a time works in, which a forked process finds free or is told that they never will be."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from dslc.language.diagnostics import DataError

if TYPE_CHECKING:

    class _Reentrant:
        """The class of `threading.RLock()`, which Python has no public name for."""

        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
        def release(self) -> None: ...
        def __enter__(self) -> bool: ...
        def __exit__(self, *error: object) -> None: ...

else:
    _Reentrant = type(threading.RLock())


class Lock(_Reentrant):
    """A lock that the thread which holds it may take again. Its methods stay those in C: no signal comes between taking
    it and being in `with`.

    Raises:
        DataError: this process was forked while a thread held the lock that is only in the parent.
    """

    def __init__(self) -> None:
        super().__init__()
        _locks.add(self)


class _Lost(Lock):
    """What becomes of such a lock: whoever waited for it would wait for ever, for work that is half done."""

    def __enter__(self) -> bool:
        raise DataError(
            "another thread was using this model when this process was forked, so here it is half changed: load it anew"
        )


_locks: WeakSet[Lock] = WeakSet()


def _give_up_lost() -> None:
    """In a forked process, in the one thread that it has."""
    for lock in list(_locks):
        if lock.acquire(blocking=False):
            lock.release()
        else:
            lock.__class__ = _Lost


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up_lost)
