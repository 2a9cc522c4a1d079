"""`dslc train`: training on the command line, and the run folder that it leaves."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dslc.cli.app import (
    ARGUMENTS,
    Batch,
    Data,
    Define,
    OnNan,
    Overwrite,
    Progress,
    Rate,
    Seed,
    Spec,
    Threads,
    app,
    examples,
    overrides,
    positive,
    thread_option,
    writing,
)
from dslc.cli.data import DataOptions, encode_tables, locating, training_data
from dslc.cli.profile import show_profile
from dslc.cli.ranks import communicator, launch_words, note_tuning
from dslc.cli.signals import interrupted_status
from dslc.cli.watching import WatchOptions
from dslc.cli.whole import OptionalWhole
from dslc.compiler import check_file
from dslc.language.diagnostics import CallError, ExampleError
from dslc.language.shipped import shipped_names

if TYPE_CHECKING:
    from dslc.ir import Network
    from dslc.runtime.data.datasets import Dataset
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.data.splits import Shares
    from dslc.runtime.model import Model
    from dslc.runtime.quantized import QuantizedModel
    from dslc.runtime.runs.folder import Existing
    from dslc.runtime.training.callbacks import Callback
    from dslc.runtime.training.history import History


@app.command(
    help_epilogue=examples(
        "dslc train lenet5 --data mnist",
        "dslc train specs/mlp.net --data mnist --lr 0.01 --batch 32 --epochs 3",
        "dslc train specs/lenet5.net --data mnist --resume runs/lenet5-1",
        "mpiexec -n 2 dslc train lenet5 --data mnist",
        "dslc train specs/lenet5.net --data mnist --time-budget 30m --tensorboard boards/lenet5",
    )
)
def train(
    spec: Spec | None = None,
    *,
    data: Data | None = None,
    read: DataOptions = DataOptions(),
    run: Annotated[str | None, Parameter(name="--run")] = None,
    overwrite: Overwrite = False,
    resume: str | None = None,
    epochs: OptionalWhole = None,
    lr: Rate = None,
    batch: Batch = None,
    seed: Seed = None,
    on_nan: OnNan = None,
    weights: str | None = None,
    only: str | None = None,
    split: str | None = None,
    train_dev: float = 0.0,
    threads: Threads = "auto",
    reduce: Literal["fast", "ordered"] = "fast",
    progress: Progress = "auto",
    profile: Annotated[bool, Parameter(name="--profile", negative=())] = False,
    watch: WatchOptions = WatchOptions(),
    define: Define = None,
) -> int:
    """Train, and leave a run folder with spec, weights, history, report, and the checkpoint of the last epoch.

    Started by `mpiexec -n N`, or by Slurm, N processes train together, each on its part of every mini-batch, and the
    result is that of one but for the order of sums. Each has its share of the cores; the first one shows and writes.

    A tenth of the training set goes to the dev set where the data bring none.
    Every class is split alike, by the file's seed.

    Args:
        run: The run folder to make; runs/<net>-<number> unless given.
        resume: A run that was stopped or killed, or a checkpoint. Training goes on from there, in the same folder
            unless --run names another, with the -D of the run where this call says nothing else, bit for bit as if it
            had never stopped. A run that was killed before its first checkpoint begins anew; one that was killed
            after its last epoch gets what it lacks.
        epochs: How many; with --resume how many more, those that were still to come unless given.
        weights: A weights file to start from, for transfer learning.
        only: Just these layers of --weights, as in conv1,conv2.
        split: Percentages for train/dev/test, as in 60/20/20, or for train/dev where the data bring a test set.
        reduce: With several processes: how sums over them are made. `ordered` adds up in the order of the ranks, the
            same bits in every run of so many.
        train_dev: A share of the training set that is held out, to tell variance from a mismatch of the data.
        profile: Time every layer in the forward and backward pass and in the update: a table, and profile.html in the
            run. The bits are the same; steps take a little longer.
    """
    from dslc.runtime.bench.timed import TimedModel
    from dslc.runtime.data.splits import imbalances, parse_shares
    from dslc.runtime.model import Model
    from dslc.runtime.native.mpi import over_ranks
    from dslc.runtime.runs.checkpoints import RunCheckpoints
    from dslc.runtime.runs.folder import is_unbegun, overrides_of, run_folder, write_overrides, write_partition
    from dslc.runtime.training.spec_text import as_trained

    if spec is None or data is None:
        raise CallError(_what_to_do(spec))
    if epochs is not None:
        positive(epochs, "--epochs")
    shares, callbacks = parse_shares(split, train_dev), watch.callbacks()
    given = overrides_of(resume) | overrides(define, lr=lr, batch=batch, seed=seed, on_nan=on_nan)
    network = check_file(spec, given)
    anew = resume is None or is_unbegun(resume)
    _check_start(weights, only, anew)
    ranks = over_ranks(communicator(), reduce)
    model = (TimedModel if profile else Model)(network, thread_option(threads), ranks=ranks)
    if weights is not None:
        _load_weights(model, weights, only)
    if resume is not None:
        run, epochs = _resume(model, resume, run, epochs)
    known = model.schema if resume is not None else replace(model.schema, target=None, weight=None)
    dataset = _parts(training_data(network, data, read, known), shares, model.training.seed, resume)
    model.schema = model.schema.describing(network, dataset)
    with locating(dataset.train):
        model.learn_columns(dataset.train.x, dataset.train.weights)
    dataset, network = encode_tables(model, dataset), model.network
    note_tuning(network, ranks, model.batch)
    for text in imbalances({name: part.y for name, part in dataset.parts.items()}):
        print(f"note: {text}", file=sys.stderr)
    check_parts(model.schema, network, dataset, anew)
    dev = dataset.dev.given if dataset.dev else None
    part, before = dataset.train, model.step
    ranks.alike("the network", as_trained(network))  # and all have read what rank 0 may write to from now on
    if not ranks.first:
        shared = _train_metrics(watch, dataset)
        model.fit(part.x, part.y, dev, epochs, sample_weight=part.weights, callbacks=shared)
        return 0
    existing: Existing = "goes on" if _same(run, resume) else "replaced" if overwrite else "refused"
    with run_folder(run, network.name, existing) as folder:
        with writing(folder):
            watching = [
                *_train_metrics(watch, dataset),
                RunCheckpoints(folder, watch.checkpoint_seconds),
                *callbacks(folder),
                *_histograms(watch, folder, model, dataset),
            ]
            write_partition(folder, dataset)
            write_overrides(folder, given)
        history = model.fit(part.x, part.y, dev, epochs, progress, sample_weight=part.weights, callbacks=watching)
        results = results_of(model, dataset)
        with writing(folder):
            write_run(folder, model, history, dataset, results)
            show_profile(folder, model, model.step - before)
    _tell(results, folder)
    return _status(history, folder)


def _check_start(weights: str | None, only: str | None, anew: bool) -> None:
    """Raises CallError where the options that say what to start from contradict each other."""
    if only is not None and weights is None:
        raise CallError("--only names layers of a file: it goes with --weights FILE")
    if weights is not None and not anew:
        raise CallError("--resume goes on with the checkpoint's weights: leave out --weights")


def _tell(results: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """What a training has come to, and where it is."""
    for name, numbers in results.items():
        print("  ".join([f"{name}:", *(f"{key} {value:.4f}" for key, value in numbers.items())]))
    print(f"run: {folder}")
    print(f"report: {folder / 'report.html'}")


def _status(history: History, folder: Path) -> int:
    """The exit status; if a signal has ended training, how it goes on is told."""
    from dslc.runtime.runs.checkpoints import checkpoints_of
    from dslc.runtime.runs.environment import repeating

    if history.stopped != "interrupted":
        return 0
    if checkpoints_of(str(folder)):
        resume = f"{launch_words()}{repeating(ARGUMENTS.get())} --resume {shlex.quote(str(folder))}"
        print(f"interrupted: {resume} goes on where it was", file=sys.stderr)
    return interrupted_status()


def _what_to_do(spec: str | None) -> str:
    """What is said where spec or data are missing."""
    name = spec or "lenet5"
    first = "name a spec and data" if spec is None else "name data"
    return (
        f"{first}, as in: dslc train {name} --data mnist\n"
        f"specs that ship are called {', '.join(shipped_names())}; `dslc new` writes one to start from"
    )


def _load_weights(model: Model, path: str, only: str | None) -> None:
    """All layers from a file of ours or of another program, or `only` some from one of ours."""
    from dslc.interchange.loading import load_into

    if only is None:
        load_into(model, Path(path))
    else:
        model.load_weights(path, only.split(","))


def _resume(model: Model, resume: str, run: str | None, epochs: int | None) -> tuple[str | None, int | None]:
    """Puts the model where the run stopped; the folder to go on in, and for how many epochs: none where the last epoch
    is done and the folder lacks what is written after it."""
    from dslc.runtime.runs.checkpoints import resume_newest
    from dslc.runtime.runs.folder import is_complete, is_unbegun, overrides_of

    folder = resume if run is None and Path(resume).is_dir() else run
    if is_unbegun(resume):
        said = "as the options of this call say" + ", with the -D of the run" * bool(overrides_of(resume))
        print(f"note: {resume} was stopped before its first checkpoint: training begins anew, {said}", file=sys.stderr)
        return folder, epochs
    resume_newest(model, resume)
    over = model.fit_state is not None and model.fit_state.over
    if epochs is None and over and not (_same(folder, resume) and is_complete(Path(resume))):
        print("note: this training is done: what the run lacks is written", file=sys.stderr)
        epochs = 0
    return folder, epochs


def _same(run: str | None, resume: str | None) -> bool:
    """Whether training goes on in the folder that it resumes."""
    return run is not None and resume is not None and Path(run).resolve() == Path(resume).resolve()


def _parts(given: Dataset, shares: Shares, seed: int, resume: str | None) -> Dataset:
    """The data split as the call says, or as the run that goes on did where it says nothing."""
    from dslc.runtime.data.splits import Shares
    from dslc.runtime.runs.folder import partition_of, split_as_trained

    if resume is not None and shares == Shares():
        path = Path(resume)
        folder = str(path if path.is_dir() else path.parent)
        before = partition_of(folder)
        if before is not None and not given.is_of(before):
            print(f"note: {resume} was trained on other data: these are split anew, as --split says", file=sys.stderr)
        return split_as_trained(given, folder, seed)
    return given.split(shares, seed)


def check_parts(schema: Schema, network: Network, dataset: Dataset, anew: bool) -> None:
    """Looks through all parts before training: what is wrong with the test set should not be found out behind it."""
    for name, part in dataset.parts.items():
        try:
            first = anew and name == "train"
            schema = schema.check_part(network, part.x, part.y, f"{name} set", first, part.weights)
        except ExampleError as error:
            raise error.at(part.name(error.example)) from None


def results_of(model: Model | QuantizedModel, dataset: Dataset) -> dict[str, dict[str, float]]:
    """The final numbers on each part of the data."""
    return {name: model.evaluate(*part.given) for name, part in dataset.parts.items()}


def _train_metrics(watch: WatchOptions, dataset: Dataset) -> list[Callback]:
    """What --train-metrics asks for: examples from all over the training set."""
    import numpy as np

    from dslc.callbacks import TrainMetrics
    from dslc.runtime.data.lazy import taken

    if watch.train_metrics is None:
        return []
    part, count = dataset.train, len(dataset.train.y)
    some = np.linspace(0, count - 1, min(watch.train_metrics, count)).astype(int)
    weights = None if part.weights is None else part.weights[some]
    return [TrainMetrics(taken(part.x, some), part.y[some], weights)]


def _histograms(watch: WatchOptions, folder: Path, model: Model, dataset: Dataset) -> list[Callback]:
    """What --histograms asks for; the gradients are those of a few examples of the training set."""
    import numpy as np

    from dslc.callbacks import Histograms
    from dslc.runtime.data.lazy import taken
    from dslc.runtime.runs.folder import HISTOGRAMS
    from dslc.runtime.training.histograms import EXAMPLES

    if not watch.histograms:
        return []
    some = np.arange(min(EXAMPLES, model.batch, len(dataset.train.y)))
    return [Histograms(folder / HISTOGRAMS, (taken(dataset.train.x, some), dataset.train.y[some]))]


def write_run(folder: Path, model: Model, history: Any, dataset: Dataset, results: Mapping[str, Any]) -> None:
    """Writes what a run folder holds besides the checkpoint: spec, weights, history, metadata, report."""
    from dslc.cache import write_whole
    from dslc.cli.page import page_of
    from dslc.language.shipped import SPEC
    from dslc.runtime.analysis.findings import look_at
    from dslc.runtime.runs.environment import environment
    from dslc.runtime.runs.folder import HISTORY, REPORT, WEIGHTS
    from dslc.runtime.runs.metadata import METADATA, RunMetadata
    from dslc.runtime.training.spec_text import as_trained

    write_whole(folder / SPEC, as_trained(model.network).encode())
    model.save(folder / WEIGHTS)
    history.to_csv(folder / HISTORY)
    metadata = RunMetadata.of(dataset, history, model.schema, environment(ARGUMENTS.get(), model.threads))
    write_whole(folder / METADATA, metadata.to_json())
    page = page_of(folder, model, history, metadata, results, look_at(model, dataset))
    write_whole(folder / REPORT, page.encode())
