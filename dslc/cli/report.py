"""`dslc report`: the page of a run, made again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cli.app import Run, Threads, app, examples, thread_option, writing
from dslc.cli.data import DataOptions, run_data
from dslc.cli.train import results_of
from dslc.language.diagnostics import CallError, DataError

if TYPE_CHECKING:
    from dslc.runtime.analysis.diagnosis import Gap
    from dslc.runtime.data.datasets import Dataset
    from dslc.runtime.model import Model
    from dslc.runtime.runs.metadata import RunMetadata


@app.command(
    help_epilogue=examples(
        "dslc report runs/lenet5-1",
        "dslc report runs/lenet5-1 --human-error 0.002",
        "dslc report runs/lenet5-1 --data fashion -o fashion.html",
    )
)
def report(
    run: Run,
    *,
    data: str | None = None,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    read: DataOptions = DataOptions(),
    human_error: float | None = None,
    threads: Threads = "auto",
) -> None:
    """Make the page of a run again: results, curves, confusion matrix, scores by class, worst examples.

    Args:
        data: Those of the training unless given.
        output: The page to write; RUN/report.html unless given.
        human_error: The error of people at this task; with it the page shows bias and variance, and what to try next.
    """
    from dslc.cache import write_whole
    from dslc.cli.page import page_of
    from dslc.runtime.analysis.findings import Findings, look_at
    from dslc.runtime.runs.folder import HISTORY, REPORT, load_run, split_as_trained
    from dslc.runtime.runs.metadata import read_metadata
    from dslc.runtime.runs.quantized import require_float
    from dslc.runtime.training.history import History
    from dslc.runtime.training.weights import require_run

    require_run(run)
    folder = Path(run)
    if not folder.is_dir():
        raise DataError(f"{run} is not a run folder: a report shows a training, and weights alone do not have one")
    require_float(run)
    model = load_run(run, thread_option(threads))
    metadata = read_metadata(folder)
    best_epoch, stopped = (metadata.best_epoch, metadata.stopped) if metadata else (None, "")
    history = History.from_csv(folder / HISTORY, best_epoch, stopped)
    dataset = _dataset(model, data, read, metadata)
    results, findings = {}, Findings()
    if dataset is not None:
        dataset = split_as_trained(dataset, run, model.training.seed)
        results, findings = results_of(model, dataset), look_at(model, dataset)
    gaps = () if human_error is None else _gaps(results, human_error)
    path = folder / REPORT if output is None else Path(output)
    with writing(path):
        write_whole(path, page_of(folder, model, history, metadata, results, findings, gaps).encode())
    print(f"report: {path}")


def _gaps(results: Mapping[str, dict[str, float]], human: float) -> tuple[Gap, ...]:
    """Bias and variance, from the shares of wrong answers."""
    from dslc.runtime.analysis.diagnosis import Errors, diagnose

    if not 0 <= human <= 1:
        raise CallError(f"--human-error is a share of the answers, from 0 to 1, not {human:g}")
    if "dev" not in results or any("accuracy" not in numbers for numbers in results.values()):
        raise DataError("bias and variance are read from right and wrong answers on a training and a dev set")
    wrong = {name: 1 - numbers["accuracy"] for name, numbers in results.items()}
    errors = Errors(human, wrong["train"], wrong["dev"], wrong.get("train-dev"), wrong.get("test"))
    gaps: tuple[Gap, ...] = diagnose(errors)
    return gaps


def _dataset(model: Model, data: str | None, read: DataOptions, metadata: RunMetadata | None) -> Dataset | None:
    """The data given, else those of the training; None, and a line that says so, where these are gone."""
    if data is not None:
        return run_data(model, data, read)
    try:
        if metadata is None:
            raise DataError("the run does not say with which data it was trained")
        return run_data(model, metadata.data, replace(read, target=read.target or metadata.target))
    except DataError as error:
        print(f"note: curves only, without results and examples: {error}; --data names others", file=sys.stderr)
        return None
