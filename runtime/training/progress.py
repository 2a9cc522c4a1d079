"""Progress of training: a bar on a terminal, plain lines elsewhere, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any


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
class Pace:
    """How fast a training goes: of so many epochs with so many examples each, if that is known. `last` is the number of
    the last epoch. What is done between epochs, as measuring the dev set, counts as time of the one before."""

    epochs: int
    examples: int | None
    last: int = 0
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)

    def words(self, epoch: int, done: int, loss: float) -> str:
        """The loss so far in the epoch, examples a second, and the time that is left in all epochs; what is not known
        yet is left out."""
        self.last = self.last or epoch + self.epochs - 1
        if done < self.done:
            self.before += self.done
        self.done = done
        words = [] if math.isnan(loss) else [f"loss {loss:.4f}"]
        seconds = time.monotonic() - self.started
        if seconds > 0:
            rate = (self.before + done) / seconds
            words.append(f"{rate:,.0f} examples/s")
            if self.examples is not None and rate > 0:
                words.append(f"{duration((self.epochs * self.examples - self.before - done) / rate)} left")
        return "  ".join(words)


def duration(seconds: float) -> str:
    """As in 7s, 3:07 or 2:03:07."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"


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


KINDS: dict[str, type[Progress]] = {"bar": BarProgress, "plain": PlainProgress, "json": JsonProgress, "none": Progress}


def make_progress(kind: str) -> Progress:
    """The progress of a kind in KINDS, or of `auto`: a bar on a terminal and plain lines elsewhere. Raises KeyError for
    any other."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    return KINDS[kind]()
