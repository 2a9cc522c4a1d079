"""Ctrl-C and SIGTERM as Python sees them: put off where work must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Held:
    """Signals that came while they were held, to be answered as they would have been at once."""

    def __init__(self) -> None:
        self.holds = True
        self.came: list[Callable[[], Any]] = []

    def handler(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """What takes the place of a handler; it answers at once when nothing is held any more."""

        def taken(number: int, frame: Any) -> None:
            if self.holds:
                self.came.append(lambda: answer(number, frame))
            else:
                answer(number, frame)

        return taken


@contextmanager
def undisturbed() -> Iterator[None]:
    """What is done here is done whole: a signal that comes meanwhile is answered behind it, as it would have been
    answered at once. Python answers signals in the main thread; elsewhere this does nothing.

    None is lost while the handlers change: one that has not changed yet answers at once, and then all that have are
    given back; one that was not given back because another signal came between answers like the one before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = _Held()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    changing = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number, handler in changing.items():
            signal.signal(number, held.handler(handler))
        yield
    finally:
        held.holds = False
        for number, handler in changing.items():
            signal.signal(number, handler)
        for answer in held.came:
            answer()
