"""Run folders: what a training leaves behind, and models loaded back from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from dslc.cache import PART, write_whole
from dslc.compiler import check_file, check_text
from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.runs.metadata import FACTS
from dslc.runtime.model import Model
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.data.splits import Partition, Shares
from dslc.runtime.training.weights import read_arrays

SPEC, WEIGHTS, HISTORY, REPORT = "spec.net", "weights.safetensors", "history.csv", "report.html"
CHECKPOINT, SPLIT = "checkpoint", "split.json"


@contextmanager
def run_folder(wanted: str | None, net: str) -> Iterator[Path]:
    """A folder for a run, made before it begins; it goes again if the run fails and leaves nothing but how its data
    were split.

    Raises:
        DataError: the folder cannot be made.
    """
    folder = _make_folder(wanted, net)
    try:
        yield folder
    except BaseException:
        left = list(folder.iterdir())
        if all(path.name == SPLIT for path in left):
            for path in left:
                path.unlink()
            folder.rmdir()
        raise


def _make_folder(wanted: str | None, net: str) -> Path:
    """The folder named, or `runs/<net>-<number>` with the first number that is free."""
    try:
        if wanted is not None:
            folder = Path(wanted)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        number = 1
        while True:
            folder = Path("runs") / f"{net.lower()}-{number}"
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise DataError(f"cannot make the run folder {folder}: {error.strerror}") from None


def is_whole(folder: Path) -> bool:
    """Whether a run has all that is written at its end, and none of it from before its last checkpoint."""
    ending = [folder / name for name in (WEIGHTS, HISTORY, FACTS, REPORT)]
    if not all(path.exists() for path in ending):
        return False
    return min(path.stat().st_mtime_ns for path in ending) >= (folder / CHECKPOINT).stat().st_mtime_ns


def checkpoint_of(run: str) -> Path:
    """The checkpoint in a run folder, or the file itself.

    Raises:
        DataError: there is none.
    """
    path = Path(run)
    found = path / CHECKPOINT if path.is_dir() else path
    if not found.is_file():
        raise DataError(f"there is no checkpoint at {found}: a run has one after its first epoch")
    return found


def keep_checkpoints(model: Model, folder: Path) -> Callable[[dict[str, float]], None]:
    """Writes the run's spec and checkpoint after each epoch; one with numbers that are not finite replaces none.

    Raises:
        DataError: they cannot be written; what stood there before is left.
    """
    spec = as_trained(model.network).encode()

    def keep(record: dict[str, float]) -> None:
        try:
            write_whole(folder / SPEC, spec)
        except OSError as error:
            raise DataError(f"cannot write {folder / SPEC}: {error.strerror}") from None
        if model.first_not_finite() is None:
            model.checkpoint(folder / CHECKPOINT)

    for left in folder.glob(f".*{PART}"):  # by a process that was killed while it wrote
        left.unlink()
    return keep


def load_run(run: str, threads: int) -> Model:
    """A trained model from its run folder or its weights file (which holds the spec).

    Raises:
        DataError: there is no such run, or its files do not fit.
    """
    path = Path(run)
    if path.is_dir():
        if not (path / SPEC).exists() or not ((path / WEIGHTS).exists() or (path / CHECKPOINT).exists()):
            raise DataError(f"{run} is no run folder: it has no {SPEC} with {WEIGHTS}")
        model = Model(check_file(path / SPEC), threads)
        _fill(model, path)
        return model
    model = Model(check_text(_spec_inside(path)), threads)
    model.load_weights(path)
    return model


def write_partition(folder: Path, dataset: Dataset) -> None:
    """How the data were split, if they were: training writes it first, so that a run killed at any moment is resumed
    with its own parts."""
    if dataset.partition is not None:
        write_whole(folder / SPLIT, (json.dumps(asdict(dataset.partition), indent=2) + "\n").encode())


def partition_of(run: str) -> Partition | None:
    """How the data of a run were split; None where nothing says so, as for a weights file.

    Raises:
        DataError: the file that says it is broken.
    """
    path = Path(run) / SPLIT
    if not path.is_file():
        return None
    try:
        given = json.loads(path.read_text("utf-8"))
        return Partition(Shares(**given["shares"]), int(given["seed"]), str(given["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def split_as_trained(dataset: Dataset, run: str, seed: int) -> Dataset:
    """The parts that a run was trained with, if these are its data, else those that training would make by itself."""
    partition = partition_of(run)
    if partition is not None and partition.of(dataset.train.y):
        return dataset.split(partition.shares, partition.seed)
    return dataset.with_dev(seed)


def _fill(model: Model, folder: Path) -> None:
    """The weights of a run; of one that never came to its end the best so far, from its checkpoint."""
    if (folder / WEIGHTS).exists():
        model.load_weights(folder / WEIGHTS)
        return
    model.resume(folder / CHECKPOINT)
    if model.standing is not None and model.standing.best_weights is not None:
        model.restore_weights(model.standing.best_weights)


def _spec_inside(path: Path) -> str:
    _, metadata = read_arrays(path)
    if "spec" not in metadata:
        raise DataError(f"{path} does not say which network its weights belong to")
    return metadata["spec"]
