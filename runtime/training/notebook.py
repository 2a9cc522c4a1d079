"""Progress in a notebook: a bar below the cell that is drawn anew, and the last epochs under it."""

from __future__ import annotations

import importlib
import sys
import time
from html import escape
from typing import Any

from dslc.runtime.training.pace import Pace
from dslc.runtime.training.progress import Progress, describe

LINES = 6
"""So many epochs are shown."""
SECONDS = 0.3
"""So often the bar is drawn."""


def in_notebook() -> bool:
    """Whether Jupyter runs this process."""
    return "ipykernel" in sys.modules


def _ipython() -> Any:
    return importlib.import_module("IPython.display")


class NotebookProgress(Progress):
    """One display that is replaced, so that nothing is printed and nothing has to be installed."""

    def begin(self, epochs: int, examples: int | None) -> None:
        """Makes the display."""
        self.pace, self.examples, self.lines = Pace(epochs, examples), examples, list[str]()
        self.drawn = 0.0
        self.display = _ipython().display(self._html(0, ""), display_id=True)

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Draws the bar, a few times a second."""
        words = self.pace.words(epoch, done, loss)
        if time.monotonic() - self.drawn > SECONDS:
            self._draw(done, f"epoch {epoch}/{self.pace.last}  {words}")

    def epoch(self, record: dict[str, float]) -> None:
        """Adds the record."""
        self.lines.append(describe(record))
        self._draw(self.examples or 0, "")

    def end(self) -> None:
        """Leaves the last epochs, without the bar."""
        self._draw(None, "")

    def _draw(self, done: int | None, words: str) -> None:
        self.drawn = time.monotonic()
        self.display.update(self._html(done, words))

    def _html(self, done: int | None, words: str) -> Any:
        bar = "" if done is None else f'<progress value="{done}" max="{self.examples or max(done, 1)}"></progress> '
        left_out = f"... {len(self.lines) - LINES} epochs before\n" if len(self.lines) > LINES else ""
        shown = escape(left_out + "\n".join(self.lines[-LINES:]))
        return _ipython().HTML(f"{bar}<code>{escape(words)}</code><pre>{shown}</pre>")
