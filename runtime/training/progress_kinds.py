"""Which kinds of progress there are, and which one suits where a process runs."""

from __future__ import annotations

import sys

from dslc.runtime.training.notebook import NotebookProgress, in_notebook
from dslc.runtime.training.progress import BarProgress, JsonProgress, PlainProgress, Progress

KINDS: dict[str, type[Progress]] = {"bar": BarProgress, "plain": PlainProgress, "json": JsonProgress, "none": Progress}


def make_progress(kind: str) -> Progress:
    """The progress of a kind in KINDS, or of `auto`: a bar on a terminal and in a notebook, plain lines elsewhere.
    Raises KeyError for any other."""
    if kind in ("auto", "bar") and in_notebook():
        return NotebookProgress()
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "plain"
    return KINDS[kind]()
