"""Ctrl-C and SIGTERM: both end what is running as Ctrl-C does, and the exit status tells which it was.

While a command is carried out they raise KeyboardInterrupt, but never within an import: a module that is half there
raises what it likes, or swallows the interrupt. The answer waits for the outermost import; a second signal does not.
Before and after the command there is nothing to clean up: they end the process.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
IMPORTING = "<frozen importlib._bootstrap>"
"""The file of a frame below which a module is imported."""

_came: int = signal.SIGINT
"""The signal that came last; Ctrl-C unless it is known."""


def interrupted_status() -> int:
    """The exit status of a command that a signal has ended, as shells count: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + _came


def end_at_once() -> None:
    """From now on both signals end the process: nothing has begun, or all is done."""
    _answer_with(_end)


def listen() -> None:
    """From now on both signals raise KeyboardInterrupt."""
    _answer_with(_interrupt)


def ignore() -> None:
    """From now on neither does anything. Python's own end would give them back to the system, which kills."""
    _answer_with(signal.SIG_IGN)


def _answer_with(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """But a signal that the process was told to ignore stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _came
    _came = number
    importing = _outermost_import(frame)
    if importing is None:
        raise KeyboardInterrupt
    if sys.getprofile() is not None:
        _end(number, frame)
    _raise_behind(importing)


def _outermost_import(frame: FrameType | None) -> FrameType | None:
    found = None
    while frame is not None:
        found = frame if frame.f_code.co_filename == IMPORTING else found
        frame = frame.f_back
    return found


def _raise_behind(importing: FrameType) -> None:
    """Raises KeyboardInterrupt as soon as a frame returns, which a profiler is told."""

    def watch(frame: FrameType, event: str, _: object) -> None:
        if frame is importing and event == "return":
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(watch)
