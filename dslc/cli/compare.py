"""`dslc compare`: several runs beside one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import app, examples, writing
from dslc.language.diagnostics import CallError, DataError

if TYPE_CHECKING:
    from dslc.runtime.analysis.comparison import Row, RunToCompare


@app.command(
    help_epilogue=examples(
        "dslc compare runs/lenet5-1 runs/lenet5-2",
        "dslc compare runs/lenet5-1 runs/lenet5-2 runs/mlp-1 -o compared.html",
    )
)
def compare(*runs: str, output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None) -> None:
    """Compare runs: the settings that differ, the numbers of the epochs that were kept, and curves over one another.

    Args:
        runs: Run folders.
        output: An .html to write, with the curves; they need `pip install 'dslc[report]'`.
    """
    from dslc.cache import write_whole
    from dslc.cli.page import script_or_note
    from dslc.runtime.analysis.comparison import differences, numbers, render_comparison

    if len(runs) < 2:
        raise CallError("name at least two runs, as in: dslc compare runs/lenet5-1 runs/lenet5-2")
    if output is not None and not output.endswith(".html"):
        raise CallError(f"the page is HTML: -o {Path(output).stem}.html")
    found = [_run(name) for name in runs]
    names = [run.name for run in found]
    _print("settings that differ", names, differences(found), "l")
    print()
    _print("of the epoch that was kept; * is the best", names, numbers(found), "r")
    if output is not None:
        with writing(output):
            write_whole(Path(output), render_comparison(found, script_or_note("the page")).encode())
        print(f"wrote {output}")


def _print(title: str, runs: list[str], rows: list[Row], side: str) -> None:
    from dslc.cli.tables import print_table

    if not rows:
        print(f"{title}: none")
        return
    cells = [(row.name, *(f"{c} *" if i == row.best else c for i, c in enumerate(row.cells))) for row in rows]
    print_table(title, ("", *runs), cells, "l" + side * len(runs))


def _run(name: str) -> RunToCompare:
    """A run from its files; nothing is compiled."""
    from dslc.compiler import check_file
    from dslc.language.shipped import SPEC
    from dslc.runtime.analysis.comparison import RunToCompare
    from dslc.runtime.runs.folder import HISTORY
    from dslc.runtime.runs.metadata import read_metadata
    from dslc.runtime.runs.quantized import require_float
    from dslc.runtime.training.history import History
    from dslc.runtime.training.weights import require_run

    require_run(name)
    require_float(name)
    folder = Path(name)
    if not (folder / SPEC).is_file() or not (folder / HISTORY).is_file():
        raise DataError(f"{name} is not the folder of a run that has ended: it has no {SPEC} with {HISTORY}")
    metadata = read_metadata(folder)
    best, stopped = (metadata.best_epoch, metadata.stopped) if metadata else (None, "")
    facts = () if metadata is None else (("data", metadata.data), ("ended", metadata.stopped))
    history = History.from_csv(folder / HISTORY, best, stopped)
    return RunToCompare(name, check_file(folder / SPEC), history, facts)
