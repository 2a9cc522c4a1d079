"""Ctrl-C and SIGTERM where several ranks train: noted as they come, answered where all are at the same place."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ONE_SIGNAL_SECONDS = 1.0
"""Signals that come within this time are one: a terminal and `mpiexec` may both send it."""


class HeldSignals:
    """The signals that came while they were held. `came` is the number of the last, 0 without one. A second one ends
    the process at once if the first has not been answered: this rank may wait for one that is not there any more."""

    def __init__(self) -> None:
        self.came = 0
        self._unanswered: float | None = None
        self._before: dict[signal.Signals, Any] = {}

    @contextmanager
    def held(self) -> Generator[None]:
        """Holds the signals that Python would answer; outside of the main thread it answers none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.came, self._unanswered = 0, None
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        with self._watched():
            for number, handler in self._before.items():
                if callable(handler) or (number == signal.SIGTERM and handler == signal.SIG_DFL):
                    signal.signal(number, self._note)
            try:
                yield
            finally:
                for number, handler in self._before.items():
                    signal.signal(number, handler)

    def answer(self) -> None:
        """Ends training, as the signal would have done if it had come to this rank now."""
        came, self.came, self._unanswered = self.came, 0, None
        handler = self._before.get(signal.Signals(came)) if came else None
        if callable(handler):
            handler(came, None)
        raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = number

    @contextmanager
    def _watched(self) -> Generator[None]:
        """A thread hears of signals also while the main thread waits in MPI, where Python calls no handler."""
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        watcher = threading.Thread(target=self._watch, args=(reads,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(writes)
            watcher.join()
            os.close(reads)

    def _watch(self, reads: int) -> None:
        while came := os.read(reads, 1):
            if came[0] in SIGNALS:
                self._count(came[0])

    def _count(self, number: int) -> None:
        now = time.monotonic()
        if self._unanswered is None:
            self._unanswered = now
        elif now - self._unanswered > ONE_SIGNAL_SECONDS:
            os._exit(128 + number)
