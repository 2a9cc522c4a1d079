"""Progress of training: a bar on a terminal, plain lines elsewhere, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dslc.runtime.training.pace import Pace


class Progress:
    """Shows nothing; the base class of the others."""

    def begin(self, epochs: int, examples: int | None) -> None:
        """Called before the first epoch, with the number of epochs and of examples in each, if that is known."""

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Called several times a second, with the examples done in this epoch and the mean loss so far."""

    def epoch(self, record: dict[str, float]) -> None:
        """Called with an epoch's record."""

    def end(self) -> None:
        """Called when training has ended, however it did."""


class UntilItFails(Progress):
    """Another progress, until it cannot be written: then nothing more is shown, and training goes on."""

    def __init__(self, shown: Progress) -> None:
        self.shown = shown

    def begin(self, epochs: int, examples: int | None) -> None:
        """As the other."""
        self._try(lambda: self.shown.begin(epochs, examples))

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """As the other."""
        self._try(lambda: self.shown.advance(epoch, done, loss))

    def epoch(self, record: dict[str, float]) -> None:
        """As the other."""
        self._try(lambda: self.shown.epoch(record))

    def end(self) -> None:
        """As the other."""
        self._try(self.shown.end)

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except OSError:
            failed, self.shown = self.shown, Progress()
            with suppress(OSError):  # a bar has a thread that draws it
                failed.end()


def describe(record: dict[str, float]) -> str:
    """A record as one line."""
    shown = [f"epoch {record['epoch']:.0f}"]
    shown += [f"{key} {value:.4g}" for key, value in record.items() if key not in ("epoch", "seconds", "lr")]
    return "  ".join([*shown, f"lr {record['lr']:.3g}", f"{record['seconds']:.1f} s"])


def _say(line: str) -> None:
    """In one piece, so that no interruption leaves half of a line."""
    print(f"{line}\n", end="", file=sys.stderr, flush=True)


class PlainProgress(Progress):
    """A line per epoch on stderr, without control codes."""

    def epoch(self, record: dict[str, float]) -> None:
        """Prints the record as one line."""
        _say(describe(record))


class JsonProgress(Progress):
    """A JSON object per epoch on stderr."""

    def epoch(self, record: dict[str, float]) -> None:
        """Prints the record as one line of JSON."""
        _say(json.dumps(record))


@dataclass
class BarProgress(Progress):
    """A bar that fills during each epoch, and a line for each that is done, with rich on stderr."""

    bar: Any = None
    task: Any = None
    pace: Pace = field(default_factory=lambda: Pace(1, None))

    def begin(self, epochs: int, examples: int | None) -> None:
        """Starts the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = ("{task.description}", BarColumn(bar_width=20), MofNCompleteColumn())
        self.bar = RichProgress(
            *columns, TextColumn("{task.fields[words]}"), console=Console(stderr=True), transient=True
        )
        self.pace = Pace(epochs, examples)
        self.task = self.bar.add_task("epoch 1", total=examples, words="")
        self.bar.start()

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Moves the bar."""
        words = self.pace.words(epoch, done, loss)
        self.bar.update(self.task, completed=done, words=words, description=f"epoch {epoch}/{self.pace.last}")

    def epoch(self, record: dict[str, float]) -> None:
        """Prints the record above the bar."""
        self.bar.console.print(describe(record), highlight=False)

    def end(self) -> None:
        """Removes the bar."""
        self.bar.stop()
