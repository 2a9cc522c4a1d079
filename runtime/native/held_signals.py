"""Ctrl-C and SIGTERM where several ranks train: noted as they come, answered where all are at the same place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """The signals that came while they were held. `came` is the number of the last, 0 without one."""

    def __init__(self) -> None:
        self.came = 0
        self._before: dict[signal.Signals, Any] = {}

    @contextmanager
    def held(self) -> Generator[None]:
        """Holds the signals that Python would answer; outside of the main thread it answers none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.came = 0
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
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
        came, self.came = self.came, 0
        handler = self._before.get(signal.Signals(came)) if came else None
        if callable(handler):
            handler(came, None)
        raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = number
