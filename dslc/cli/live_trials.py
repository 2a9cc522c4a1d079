"""The trials of a search while it runs: a table on a terminal, a line a trial elsewhere."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from rich.table import Table

    from dslc.runtime.search.search import Search

SHOWN = 10
"""So many of the trials are in the table, the best first."""


@contextmanager
def shown_trials(found: Search, trials: int) -> Iterator[Callable[[FrozenTrial], None]]:
    """What is to be called after every trial, from any thread."""
    if not sys.stderr.isatty():
        yield _print_line
        return
    from rich.console import Console
    from rich.live import Live

    lock, done = threading.Lock(), 0
    with Live(_table(found, 0, trials), console=Console(stderr=True), transient=True) as live:

        def redraw(trial: FrozenTrial) -> None:
            nonlocal done
            with lock:
                done += 1
                live.update(_table(found, done, trials))

        yield redraw


def _print_line(trial: FrozenTrial) -> None:
    values = [f"{value:.6g}" for value in trial.values or () if math.isfinite(value)]
    print(" ".join([f"trial {trial.number}: {trial.state.name.lower()}", *values]), file=sys.stderr, flush=True)


def _table(found: Search, done: int, trials: int) -> Table:
    from rich import box
    from rich.table import Table

    from dslc.runtime.search.results import shown, table

    title = f"{found.network.name}: {done} of {trials} trials"
    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("trial", "state", *found.metrics, *(p.name for p in found.ranges)):
        drawn.add_column(name, justify="left" if name == "state" else "right")
    for row in table(found.study, found.ranges)[:SHOWN]:
        drawn.add_row(str(row.number), row.state, *map(shown, (*row.values, *row.params)))
    return drawn
