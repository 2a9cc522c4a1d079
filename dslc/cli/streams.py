"""Standard input, output and error: there is always one, and every name can be printed."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


class Unwritten(OSError):
    """Results cannot be written to standard output."""


class Results(io.TextIOWrapper):
    """Standard output, whose errors are told from those of other files: they are `Unwritten`, but for a pipe that
    nobody reads any more."""

    def write(self, text: str) -> int:
        """Writes the text."""
        try:
            return super().write(text)
        except OSError as error:
            raise _of_results(error) from None

    def flush(self) -> None:
        """Writes what is left."""
        try:
            super().flush()
        except OSError as error:
            raise _of_results(error) from None


def _of_results(error: OSError) -> OSError:
    return error if isinstance(error, BrokenPipeError) else Unwritten(error.errno, error.strerror)


class Messages(io.TextIOWrapper):
    """Standard error. What cannot be written there, on a full disk or to a pipe that nobody reads, is lost: there is
    nowhere to tell, and the work goes on."""

    def write(self, text: str) -> int:
        """The length of the text, written or not."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is left, if it can be."""
        with suppress(OSError):
            super().flush()


def settle_streams() -> None:
    """Makes all three so. One that is closed gets a descriptor again, so that no file that is opened takes its
    number."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.stdout is None:  # a descriptor that refuses what is written, as a closed one does: nobody gets the results
        sys.stdout = Results(os.fdopen(os.open(os.devnull, os.O_RDONLY), "wb"), "utf-8")
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _as(Results, sys.stdout)
    if sys.stderr is None:
        sys.stderr = Messages(os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb"), "utf-8")
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _as(Messages, sys.stderr)


def _as(kind: type[io.TextIOWrapper], stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The same stream, in which a character that its encoding has not is a code."""
    return kind(
        stream.buffer,
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def drop_results() -> None:
    """What is still to be written to standard output goes nowhere, also what Python writes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
