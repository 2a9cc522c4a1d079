"""`dslc search`: hyperparameter search on the command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
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
from dslc.cli.live_trials import shown_trials
from dslc.cli.signals import interrupted_status
from dslc.cli.train import check_parts, results_of, write_run
from dslc.cli.whole import OptionalWhole, Whole
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
        "dslc search specs/lenet5.net --data mnist --trials 50 --sampler tpe --prune asha --storage lenet5.journal",
        "dslc search specs/lenet5.net --data mnist --jobs 2 --pareto predict_us",
    )
)
def search(
    spec: Spec,
    *,
    data: Data,
    trials: Whole = 20,
    sampler: Literal["random", "tpe"] = "random",
    prune: Literal["none", "median", "asha", "hyperband"] = "none",
    pareto: Annotated[list[str] | None, Parameter(negative=())] = None,
    jobs: Whole = 1,
    storage: str | None = None,
    study: str | None = None,
    read: DataOptions = DataOptions(),
    run: Annotated[str | None, Parameter(name="--run")] = None,
    overwrite: Overwrite = False,
    lr: Rate = None,
    batch: Batch = None,
    epochs: OptionalWhole = None,
    seed: OptionalWhole = None,
    threads: Threads = "auto",
    define: Define = None,
) -> int:
    """Search the params that have a range, such as `param lr = 1e-3 in log(1e-4, 1e-1)`.

    Leaves trials.csv, plots, and the run of the best trial in the folder
    `best` (with --pareto, of each best one in `trial-NUMBER`). -D fixes a param.

    Args:
        trials: How many settings to try.
        sampler: random, or tpe (Bayesian: Tree-structured Parzen Estimator).
        prune: End trials early: worse than the median at the same epoch, by asynchronous successive halving, or by
            Hyperband.
        pareto: A metric to weigh against the one that the file optimizes: predict_us, parameters, kilobytes, or one of
            the file's. Repeatable. All trials are kept that no other one beats in every metric.
        jobs: How many trials run at the same time; they share the threads.
        storage: What several processes share: a journal, SQLite if it ends in .db, or the URL of a database.
        study: The name of the search in --storage.
        run: The folder to make; runs/<net>-search-<number> unless given.
        epochs: How many each trial trains for; those of the file unless given.
        seed: Of the sampler; that of the file unless given.
    """
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.runs.folder import run_folder
    from dslc.runtime.search.search import Search, Settings
    from dslc.runtime.training.spec_text import completed

    for count, option in ((epochs, "--epochs"), (trials, "--trials"), (jobs, "--jobs")):
        if count is not None:
            positive(count, option)
    fixed, weighed = overrides(define, lr=lr, batch=batch), tuple(pareto or ())
    settings = Settings(spec, fixed, sampler, prune, weighed, jobs, thread_option(threads), epochs, seed)
    network = check_file(spec, settings.fixed)
    found = Search(settings, training_data(network, data, read), storage, study)
    schema = Schema().describing(network, found.dataset)
    with locating(found.dataset.train):
        schema = schema.of_tables(network, found.dataset.train.x, found.dataset.train.weights)
    check_parts(schema, completed(network, schema), found.dataset, anew=True)
    existing: Existing = "replaced" if overwrite else "refused"
    with run_folder(run, f"{found.network.name}-search", existing) as folder, writing(folder):
        try:
            with shown_trials(found, trials) as tell:
                found.run(trials, folder, _keeper(found.dataset), tell)
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


def _finish(found: Search, folder: Path) -> None:
    """The table, the files, and the best run under its name."""
    from dslc.cli.tables import print_table
    from dslc.runtime.search.results import shown, table, write_csv, write_plots
    from dslc.runtime.search.search import best_trials

    rows = table(found.study, found.ranges)
    names = tuple(p.name for p in found.ranges)
    write_csv(folder / "trials.csv", rows, names, found.metrics)
    cells = [(str(r.number), r.state, *map(shown, r.values), *map(shown, r.params), r.why) for r in rows]
    columns = ("trial", "state", *found.metrics, *names, "")
    sides = "rl" + "r" * (len(found.metrics) + len(names)) + "l"
    print_table(f"{found.network.name}: {len(rows)} trials", columns, cells, sides)
    best = best_trials(found.study)
    if not best:
        raise DataError("no trial ran to its end: see the table for the reasons")
    for line in _keep_runs(folder, best, single=len(found.metrics) == 1):
        print(line)
    for file in [folder / "trials.csv", *write_plots(folder, found.study, found.metrics)]:
        print(f"wrote {file}")


def _keep_runs(folder: Path, best: list[FrozenTrial], single: bool) -> Iterator[str]:
    """What there is to say of the runs of the best trials, which may be in the folder of another process. Those that
    led before them go, and a single one becomes `best`."""
    homes = {trial.number: Path(trial.user_attrs.get("run", "")) for trial in best}
    for old in folder.glob("trial-*"):
        if old.resolve() not in homes.values():
            shutil.rmtree(old)
    for number, home in homes.items():
        ours = home.parent == folder.resolve()
        if single and ours and home.exists():
            shutil.rmtree(folder / "best", ignore_errors=True)
            home.rename(folder / "best")
        run = folder / ("best" if single else home.name)
        where = f"run: {run}" if ours else f"trained by another process or call, in {home.parent}"
        yield f"best: trial {number}, {where}"
