"""Run folders: the files that a training writes, and loading a model from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from dslc.cache import PART, write_whole
from dslc.compiler import check_file, check_text
from dslc.cores import Threads
from dslc.language.diagnostics import DataError
from dslc.language.shipped import SPEC
from dslc.locks import locked
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.data.files import read_json, require_file
from dslc.runtime.data.fingerprints import sample_of
from dslc.runtime.data.splits import Partition, Shares
from dslc.runtime.model import Model
from dslc.runtime.runs.checkpoints import CHECKPOINT, PREVIOUS, checkpoints_of, note_unfinished, resume_newest
from dslc.runtime.runs.metadata import METADATA
from dslc.runtime.training.weights import read_metadata, require_run

WEIGHTS, HISTORY, REPORT, SPLIT = "weights.safetensors", "history.csv", "report.html", "split.json"
HISTOGRAMS, PROFILE = "histograms.json", "profile.html"
OVERRIDES = "overrides.json"
"""The values from outside, `-D`, with which a run began."""
BEFORE_CHECKPOINT = (SPLIT, OVERRIDES, SPEC)
"""What a run writes before its first checkpoint."""
SPLIT_AGAIN = (
    "how the data were split is not known. If --split and --train-dev said nothing of it, delete this file; else say "
    "the same again, and `dslc train --resume` writes it anew"
)
"""The remedy where `split.json` is damaged."""
FILES = (SPEC, WEIGHTS, HISTORY, REPORT, METADATA, CHECKPOINT, PREVIOUS, SPLIT, HISTOGRAMS, OVERRIDES, PROFILE)

Existing = Literal["refused", "replaced", "goes on"]
"""What becomes of a run folder that has files in it."""


@contextmanager
def run_folder(wanted: str | None, net: str, existing: Existing = "refused") -> Iterator[Path]:
    """Makes the folder of a run, and removes it again if the run fails before it has written a checkpoint. No other
    process gets the folder meanwhile.

    wanted: its path; by default the next free `runs/<net>-<number>`. existing: `replaced` removes the files of the run
    that is there, and no others.

    Raises:
        DataError: the folder cannot be made, holds files and is `refused`, or another run is writing there.
    """
    with ExitStack() as stack:
        try:
            folder = _make_folder(wanted, net)
            if not stack.enter_context(locked(folder)):
                raise DataError(f"another training is writing to {folder}: wait for it, or name another folder")
            _clear(folder, existing)
        except OSError as error:
            raise DataError(f"cannot make the run folder {wanted or 'runs'}: {error.strerror}") from None
        stack.enter_context(_removed_if_nothing_is_done(folder))
        yield folder


@contextmanager
def _removed_if_nothing_is_done(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what went wrong before is what is to be told
            if is_unbegun(folder):
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
        raise


def _clear(folder: Path, existing: Existing) -> None:
    if existing == "refused" and any(folder.iterdir()):
        raise DataError(f"{folder} exists already: name another folder with --run, or add --overwrite")
    if existing == "replaced":
        for name in FILES:
            (folder / name).unlink(missing_ok=True)


def _make_folder(wanted: str | None, net: str) -> Path:
    """The folder `wanted`, or `runs/<net>-<number>` with the first free number."""
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


def is_unbegun(run: str | Path) -> bool:
    """Whether a folder is that of a run which was killed before it had written a checkpoint."""
    folder = Path(run)
    return folder.is_dir() and all(p.name in BEFORE_CHECKPOINT or p.name.endswith(PART) for p in folder.iterdir())


def is_complete(folder: Path) -> bool:
    """Whether a run has all files that are written at its end, none of them older than its last checkpoint."""
    ending = [folder / name for name in (WEIGHTS, HISTORY, METADATA, REPORT)]
    if not all(path.exists() for path in [*ending, folder / CHECKPOINT]):
        return False
    return min(path.stat().st_mtime_ns for path in ending) >= (folder / CHECKPOINT).stat().st_mtime_ns


def load_run(run: str, threads: Threads, params: Mapping[str, object] | None = None, dtype: str | None = None) -> Model:
    """Loads a trained model from a run folder, or from a weights file, which contains the spec. params, dtype: in place
    of what the spec of the folder says.

    Raises:
        DataError: there is no such run, or its files do not fit together.
    """
    require_run(run)
    path = Path(run)
    if path.is_dir():
        if not (path / SPEC).exists() or not ((path / WEIGHTS).exists() or checkpoints_of(run)):
            raise DataError(f"{run} is not a run folder: it has no {SPEC} with {WEIGHTS}")
        require_file(path / SPEC)
        model = Model(check_file(path / SPEC, params, dtype), threads)
        _fill(model, path)
        return model
    model = Model(check_text(_spec_inside(path)), threads)
    model.load_weights(path)
    return model


def write_partition(folder: Path, dataset: Dataset) -> None:
    """Writes how the data were split, if they were, to `split.json`. Training does this first, so that a run that is
    killed at any moment can be resumed with the same parts."""
    if dataset.partition is not None:
        known = replace(dataset.partition, examples=sample_of(dataset.train.x))
        write_whole(folder / SPLIT, (json.dumps(asdict(known), indent=2) + "\n").encode())


def write_overrides(folder: Path, values: Mapping[str, object]) -> None:
    """Records values from outside, if there are any, so that they need not be said again when the run is resumed."""
    if values:
        write_whole(folder / OVERRIDES, json.dumps(values).encode())


def overrides_of(run: str | None) -> dict[str, object]:
    """The values from outside of a run, by its folder or a checkpoint in it; none where it has recorded none."""
    if run is None:
        return {}
    path = Path(run)
    file = (path if path.is_dir() else path.parent) / OVERRIDES
    if not file.is_file():
        return {}
    return read_json(file, _overrides, "delete it, and say the values of -D again")


def _overrides(given: Any) -> dict[str, object]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def partition_of(run: str) -> Partition | None:
    """How the data of a run were split; None if it has no `split.json`, as with a weights file.

    Raises:
        DataError: the file is damaged. No other file of the run says how the data were split.
    """
    path = Path(run) / SPLIT
    return read_json(path, _partition, SPLIT_AGAIN) if path.is_file() else None


def _partition(given: Any) -> Partition:
    """Raises ValueError, LookupError or TypeError where it is none."""
    shares, seed = Shares(**given["shares"]), given["seed"]
    if not all(share is None or 0 <= share < 1 for share in asdict(shares).values()):
        raise ValueError("shares go from 0 to 1")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError("a seed is a whole number from 0 on")
    inputs = given.get("inputs")
    examples = tuple(map(int, given.get("examples", ())))
    return Partition(shares, seed, str(given["fingerprint"]), None if inputs is None else str(inputs), examples)


def split_as_trained(dataset: Dataset, run: str, seed: int) -> Dataset:
    """The data split as for the training of a run if they are the same data, else as training splits by default."""
    partition = partition_of(run)
    if partition is not None and dataset.is_of(partition):
        return dataset.split(partition.shares, partition.seed)
    return dataset.with_dev(seed)


def _fill(model: Model, folder: Path) -> None:
    """Loads the weights of a run; if it did not finish, the best ones so far, from its checkpoint, with a note."""
    if (folder / WEIGHTS).exists():
        model.load_weights(folder / WEIGHTS)
        return
    resume_newest(model, str(folder))
    state = model.fit_state
    if state is not None and state.best_weights is not None:
        model.restore_weights(state.best_weights)
    note_unfinished(folder, model.epoch, None if state is None else state.best_epoch)


def _spec_inside(path: Path) -> str:
    metadata = read_metadata(path)
    if "spec" not in metadata:
        raise DataError(f"{path} does not contain the spec of the network that its weights belong to")
    return metadata["spec"]
