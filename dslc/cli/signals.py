"""Ctrl-C and SIGTERM: both end what is running as Ctrl-C does, and the exit status tells which it was."""

from __future__ import annotations

import signal
from types import FrameType

_came = signal.SIGINT
"""The signal that came last; Ctrl-C unless it is known."""


def interrupted_status() -> int:
    """The exit status of a command that a signal has ended, as shells count: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + _came


def listen() -> None:
    """From now on both signals raise KeyboardInterrupt; but one that the process was told to ignore stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _came
    _came = signal.Signals(number)
    raise KeyboardInterrupt
