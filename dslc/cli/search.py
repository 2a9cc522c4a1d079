"""`dslc search`: hyperparameter search on the command line."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from dslc.cli.app import (
    Batch,
    Data,
    Define,
    Overwrite,
    Rate,
    Spec,
    Threads,
    app,
    examples,
    overrides,
    positive,
    thread_option,
    writing,
)
from dslc.cli.data import DataOptions, locating, training_data
from dslc.cli.signals import interrupted_status
from dslc.cli.train import check_parts, results_of, write_run
from dslc.compiler import check_file
from dslc.language.diagnostics import DataError

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from dslc.runtime.data.datasets import Dataset
    from dslc.runtime.model import Model
    from dslc.runtime.runs.folder import Existing
    from dslc.runtime.search.search import Finished, Search
    from dslc.runtime.training.history import History


@app.command(
    help_epilogue=examples(
        "dslc search specs/lenet5.net --data mnist --trials 20 --epochs 3",
        "dslc search specs/lenet5.net --data mnist --trials 50 --sampler tpe --prune --storage lenet5.journal",
    )
)
def search(
    spec: Spec,
    *,
    data: Data,
    trials: int = 20,
    sampler: Literal["random", "tpe"] = "random",
    prune: Annotated[bool, Parameter(negative=())] = False,
    storage: str | None = None,
    study: str | None = None,
    read: DataOptions = DataOptions(),
    run: Annotated[str | None, Parameter(name="--run")] = None,
    overwrite: Overwrite = False,
    lr: Rate = None,
    batch: Batch = None,
    epochs: int | None = None,
    seed: int | None = None,
    threads: Threads = "auto",
    define: Define = None,
) -> int:
    """Search the params that have a range, such as `param lr = 1e-3 in log(1e-4, 1e-1)`.

    Leaves trials.csv, plots, and the run of the best trial in the folder
    `best`. -D fixes a param.

    Args:
        trials: How many settings to try.
        sampler: random, or tpe (Bayesian: Tree-structured Parzen Estimator).
        prune: End trials early that are worse than the median.
        storage: A file that several processes share: a journal, or SQLite if it ends in .db.
        study: The name of the search in --storage.
        run: The folder to make; runs/<net>-search-<number> unless given.
        epochs: How many each trial trains for; those of the file unless given.
        seed: Of the sampler; that of the file unless given.
    """
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.runs.folder import run_folder
    from dslc.runtime.search.search import Search, Settings
    from dslc.runtime.training.spec_text import completed

    if epochs is not None:
        positive(epochs, "--epochs")
    settings = Settings(
        spec, overrides(define, lr=lr, batch=batch), sampler, prune, thread_option(threads), epochs, seed
    )
    network = check_file(spec, settings.fixed)
    found = Search(settings, training_data(network, data, read), storage, study)
    positive(trials, "--trials")
    found.dataset = found.dataset.with_dev(found.seed)
    if found.dataset.dev is None:
        raise DataError("a search judges by a dev set, and the data are too few to split one off")
    schema = Schema().describing(network, found.dataset)
    with locating(found.dataset.train):
        schema = schema.of_tables(network, found.dataset.train.x, found.dataset.train.weights)
    check_parts(schema, completed(network, schema), found.dataset, anew=True)
    existing: Existing = "replaced" if overwrite else "refused"
    with run_folder(run, f"{found.network.name}-search", existing) as folder, writing(folder):
        try:
            found.run(positive(trials, "--trials"), folder, _keeper(found.dataset), _tell)
            status = 0
        except KeyboardInterrupt:
            print("interrupted: what is done is kept", file=sys.stderr)
            status = interrupted_status()
        _finish(found, folder)
    return status


def _keeper(dataset: Dataset) -> Finished:
    from dslc.runtime.runs.folder import write_partition

    def keep(model: Model, history: History, values: Mapping[str, object], home: Path) -> None:
        write_partition(home, dataset)
        write_run(home, model, history, dataset, results_of(model, dataset))

    return keep


def _tell(trial: FrozenTrial) -> None:
    value = f" {trial.value:.6g}" if trial.value is not None and math.isfinite(trial.value) else ""
    print(f"trial {trial.number}: {trial.state.name.lower()}{value}", file=sys.stderr, flush=True)


def _finish(found: Search, folder: Path) -> None:
    """The table, the files, and the best run under its name."""
    from dslc.cli.tables import print_table
    from dslc.runtime.search.search import best_trial, shown, table, write_csv, write_plots

    rows = table(found.study, found.ranges)
    names = tuple(p.name for p in found.ranges)
    write_csv(folder / "trials.csv", rows, names, found.metric.name)
    cells = [(str(r.number), r.state, shown(r.value), *map(shown, r.params), r.why) for r in rows]
    columns = ("trial", "state", found.metric.name, *names, "")
    print_table(f"{found.network.name}: {len(rows)} trials", columns, cells, "rlr" + "r" * len(names) + "l")
    best = best_trial(found.study)
    if best is None:
        raise DataError("no trial ran to its end: see the table for the reasons")
    print(f"best: trial {best.number}, {_keep_best(folder, best.user_attrs.get('run', ''))}")
    for file in [folder / "trials.csv", *write_plots(folder, found.study, found.metric.name)]:
        print(f"wrote {file}")


def _keep_best(folder: Path, home: str) -> str:
    """The best trial's run becomes `best`, those that led before it go; it may be another process that has it."""
    kept = Path(home)
    ours = kept.parent == folder.resolve()
    if ours and kept.exists():
        shutil.rmtree(folder / "best", ignore_errors=True)
        kept.rename(folder / "best")
    for old in folder.glob("trial-*"):
        shutil.rmtree(old)
    return f"run: {folder / 'best'}" if ours else f"trained by another process or call, in {kept.parent}"
