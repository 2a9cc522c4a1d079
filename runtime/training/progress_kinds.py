"""Which kinds of progress there are, and which one suits where a process runs."""

from __future__ import annotations

import sys

from dslc.language.diagnostics import DataError
from dslc.runtime.training.notebook import NotebookProgress, in_notebook
from dslc.runtime.training.progress import BarProgress, JsonProgress, PlainProgress, Progress

KINDS: dict[str, type[Progress]] = {"bar": BarProgress, "plain": PlainProgress, "json": JsonProgress, "none": Progress}


def make_progress(kind: str | bool) -> Progress:
    """The progress of a kind in KINDS, or of `auto`: a bar on a terminal and in a notebook, plain lines elsewhere. True
    is `auto`, and False `none`.

    Raises:
        DataError: it is something else.
    """
    if isinstance(kind, bool):
        kind = "auto" if kind else "none"
    if kind not in (*KINDS, "auto"):
        raise DataError(f"progress is one of {', '.join(KINDS)} and auto, not {kind!r}")
    if kind in ("auto", "bar") and in_notebook():
        return NotebookProgress()
    if kind == "auto":
        kind = "none" if sys.stderr is None else "bar" if sys.stderr.isatty() else "plain"
    return KINDS[kind]()
