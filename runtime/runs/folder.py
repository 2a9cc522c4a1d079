"""Run folders: the files that a training writes, and loading a model from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from dslc.cache import PART, write_whole
from dslc.compiler import check_file, check_text
from dslc.cores import Threads
from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.data.files import require_file
from dslc.runtime.data.splits import Partition, Shares
from dslc.runtime.model import Model
from dslc.runtime.runs.metadata import METADATA
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.training.weights import read_arrays

SPEC, WEIGHTS, HISTORY, REPORT = "spec.net", "weights.safetensors", "history.csv", "report.html"
CHECKPOINT, SPLIT = "checkpoint", "split.json"


Existing = Literal["refused", "replaced", "goes on"]
"""What becomes of a run folder that has files in it."""


@contextmanager
def run_folder(wanted: str | None, net: str, existing: Existing = "refused") -> Iterator[Path]:
    """Makes the folder of a run, and removes it again if the run fails and leaves no file but `split.json`.

    wanted: its path; by default the next free `runs/<net>-<number>`. existing: `replaced` removes the files of the run
    that is there, and no others.

    Raises:
        DataError: the folder cannot be made, or holds files and is `refused`.
    """
    folder = _make_folder(wanted, net, existing)
    try:
        yield folder
    except BaseException:
        left = list(folder.iterdir())
        if all(path.name == SPLIT for path in left):
            for path in left:
                path.unlink()
            folder.rmdir()
        raise


def _make_folder(wanted: str | None, net: str, existing: Existing) -> Path:
    """The folder `wanted`, or `runs/<net>-<number>` with the first free number."""
    try:
        if wanted is not None:
            folder = Path(wanted)
            folder.mkdir(parents=True, exist_ok=True)
            if existing == "refused" and any(folder.iterdir()):
                raise DataError(f"{wanted} exists already: name another folder with --run, or add --overwrite")
            if existing == "replaced":
                for name in (SPEC, WEIGHTS, HISTORY, REPORT, METADATA, CHECKPOINT, SPLIT):
                    (folder / name).unlink(missing_ok=True)
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


def is_complete(folder: Path) -> bool:
    """Whether a run has all files that are written at its end, none of them older than its last checkpoint."""
    ending = [folder / name for name in (WEIGHTS, HISTORY, METADATA, REPORT)]
    if not all(path.exists() for path in ending):
        return False
    return min(path.stat().st_mtime_ns for path in ending) >= (folder / CHECKPOINT).stat().st_mtime_ns


def checkpoint_of(run: str) -> Path:
    """The path of the checkpoint in a run folder; `run` itself if it is a file.

    Raises:
        DataError: there is no checkpoint.
    """
    path = Path(run)
    found = path / CHECKPOINT if path.is_dir() else path
    if not found.is_file():
        raise DataError(f"there is no checkpoint at {found}: a run writes one after each epoch")
    return found


def checkpoint_writer(model: Model, folder: Path) -> Callable[[dict[str, float]], None]:
    """A function for `on_epoch` that writes the run's spec and checkpoint after each epoch. If a parameter is not
    finite, the earlier checkpoint stays. The function raises DataError if they cannot be written; the earlier files
    stay then.
    """
    spec = as_trained(model.network).encode()

    def keep(record: dict[str, float]) -> None:
        try:
            write_whole(folder / SPEC, spec)
        except OSError as error:
            raise DataError(f"cannot write {folder / SPEC}: {error.strerror}") from None
        if model.first_not_finite() is None:
            model.checkpoint(folder / CHECKPOINT)

    for left in folder.glob(f".*{PART}"):  # by a process that was killed while writing
        left.unlink()
    return keep


def load_run(run: str, threads: Threads) -> Model:
    """Loads a trained model from a run folder, or from a weights file, which contains the spec.

    Raises:
        DataError: there is no such run, or its files do not fit together.
    """
    path = Path(run)
    if path.is_dir():
        if not (path / SPEC).exists() or not ((path / WEIGHTS).exists() or (path / CHECKPOINT).exists()):
            raise DataError(f"{run} is not a run folder: it has no {SPEC} with {WEIGHTS}")
        require_file(path / SPEC)
        model = Model(check_file(path / SPEC), threads)
        _fill(model, path)
        return model
    model = Model(check_text(_spec_inside(path)), threads)
    model.load_weights(path)
    return model


def write_partition(folder: Path, dataset: Dataset) -> None:
    """Writes how the data were split, if they were, to `split.json`. Training does this first, so that a run that is
    killed at any moment can be resumed with the same parts."""
    if dataset.partition is not None:
        write_whole(folder / SPLIT, (json.dumps(asdict(dataset.partition), indent=2) + "\n").encode())


def partition_of(run: str) -> Partition | None:
    """How the data of a run were split; None if it has no `split.json`, as with a weights file.

    Raises:
        DataError: the file is broken.
    """
    path = Path(run) / SPLIT
    if not path.is_file():
        return None
    try:
        given = json.loads(path.read_text("utf-8"))
        shares = Shares(**given["shares"])
        if not all(share is None or 0 <= share < 1 for share in asdict(shares).values()):
            raise ValueError("shares go from 0 to 1")
        return Partition(shares, int(given["seed"]), str(given["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def split_as_trained(dataset: Dataset, run: str, seed: int) -> Dataset:
    """The data split as for the training of a run if they are the same data, else as training splits by default."""
    partition = partition_of(run)
    if partition is not None and partition.of(dataset.train.y):
        return dataset.split(partition.shares, partition.seed)
    return dataset.with_dev(seed)


def _fill(model: Model, folder: Path) -> None:
    """Loads the weights of a run; if it did not finish, the best ones so far, from its checkpoint."""
    if (folder / WEIGHTS).exists():
        model.load_weights(folder / WEIGHTS)
        return
    model.resume(folder / CHECKPOINT)
    if model.fit_state is not None and model.fit_state.best_weights is not None:
        model.restore_weights(model.fit_state.best_weights)


def _spec_inside(path: Path) -> str:
    _, metadata = read_arrays(path)
    if "spec" not in metadata:
        raise DataError(f"{path} does not contain the spec of the network that its weights belong to")
    return metadata["spec"]
