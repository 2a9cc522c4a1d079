"""How training shows itself: a bar on a terminal, plain lines elsewhere, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import Any


class Progress:
    """Shows nothing; the base of the others."""

    def begin(self, epochs: int, examples: int) -> None:
        pass

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Called several times a second: `done` examples of the epoch, the mean loss so far."""

    def epoch(self, record: dict[str, float]) -> None:
        """Called with an epoch's record."""

    def end(self) -> None:
        pass


def describe(record: dict[str, float]) -> str:
    """A record as one line."""
    shown = [f"epoch {record['epoch']:.0f}"]
    shown += [f"{key} {value:.4g}" for key, value in record.items() if key not in ("epoch", "seconds", "lr")]
    return "  ".join([*shown, f"lr {record['lr']:.3g}", f"{record['seconds']:.1f} s"])


class PlainProgress(Progress):
    """A line an epoch, without control codes."""

    def epoch(self, record: dict[str, float]) -> None:
        print(describe(record), file=sys.stderr, flush=True)


class JsonProgress(Progress):
    """A JSON object an epoch."""

    def epoch(self, record: dict[str, float]) -> None:
        print(json.dumps(record), file=sys.stderr, flush=True)


@dataclass
class BarProgress(Progress):
    """A bar that fills within each epoch, and a line for each that is done."""

    bar: Any = None
    task: Any = None
    examples: int = 0

    def begin(self, epochs: int, examples: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = RichProgress(
            *columns, TextColumn("{task.fields[loss]}"), console=Console(stderr=True), transient=True
        )
        self.examples, self.epochs = examples, epochs
        self.task = self.bar.add_task("epoch 1", total=examples, loss="")
        self.bar.start()

    def advance(self, epoch: int, done: int, loss: float) -> None:
        shown = "" if math.isnan(loss) else f"loss {loss:.4f}"
        self.bar.update(self.task, completed=done, loss=shown, description=f"epoch {epoch}/{self.epochs}")

    def epoch(self, record: dict[str, float]) -> None:
        self.bar.console.print(describe(record), highlight=False)

    def end(self) -> None:
        self.bar.stop()


KINDS: dict[str, type[Progress]] = {"bar": BarProgress, "plain": PlainProgress, "json": JsonProgress, "none": Progress}


def make_progress(kind: str) -> Progress:
    """`auto` is a bar on a terminal and plain lines elsewhere."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    return KINDS[kind]()
