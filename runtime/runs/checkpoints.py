"""The checkpoints of a run: the newest, and the one before it, which is used where the newest is damaged."""

from __future__ import annotations

import math
import os
import time
import warnings
from contextlib import suppress
from pathlib import Path

from dslc.cache import PART, write_whole
from dslc.language.diagnostics import DataError
from dslc.language.shipped import SPEC
from dslc.runtime.model import Model
from dslc.runtime.training.callbacks import Callback, Record
from dslc.runtime.training.history import History
from dslc.runtime.training.interrupts import undisturbed
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.training.trainable import Trainable

CHECKPOINT, PREVIOUS = "checkpoint", "checkpoint.previous"


class RunCheckpoints(Callback):
    """Writes the run's spec and checkpoint when training begins, after each epoch, and where it ends within one; with
    `seconds` also whenever so much time has gone by since the last. The checkpoint before stays under another name. If
    a parameter is not finite, nothing is written. What a process left that was killed while it wrote is removed.

    Raises:
        DataError: in `fit`, if they cannot be written; the earlier files stay then.
    """

    def __init__(self, folder: Path, seconds: float = math.inf) -> None:
        self.folder, self.seconds = folder, seconds
        self.at = (-1, -1)  # epoch and step of what was written last
        self.own = False  # whether the newest checkpoint was written here: one that is found may be damaged
        sweep(folder)

    def on_train_begin(self, model: Trainable) -> None:
        """Writes the first checkpoint, so that a training killed in its first epoch is resumed as it began."""
        self.model = model
        self._write()

    def on_batch(self, record: Record) -> None:
        """Writes a checkpoint within an epoch, if it is time."""
        if time.monotonic() - self.written >= self.seconds:
            self._write()

    def on_epoch(self, record: Record) -> None:
        """Writes the checkpoint of the epoch."""
        self._write()

    def on_train_end(self, history: History) -> None:
        """Writes where training has ended, if that is within an epoch or before the epoch's checkpoint was written; but
        not if something has failed, perhaps writing."""
        if self._place() != self.at and history.stopped != "failed":
            self._write()

    def _place(self) -> tuple[int, int]:
        return self.model.epoch, self.model.step

    def _write(self) -> None:
        self.written = time.monotonic()
        if self.model.first_not_finite() is not None:
            return
        newest, made = self.folder / CHECKPOINT, self.folder / f".{CHECKPOINT}{PART}"
        try:
            with undisturbed():
                write_whole(self.folder / SPEC, as_trained(self.model.network).encode())
                self.model.checkpoint(made)
                if self.own:
                    _keep(newest, self.folder / PREVIOUS)
                os.replace(made, newest)
                self.own, self.at = True, self._place()
        except OSError as error:
            with suppress(OSError):  # what went wrong before is what is to be told
                sweep(self.folder)
            raise DataError(f"cannot write to {self.folder}: {error.strerror}") from None


def _keep(newest: Path, previous: Path) -> None:
    """Gives a file another name, and the old one too, so that it is there at any moment; where the file system has no
    links, the other name alone."""
    link = previous.with_name(f".{previous.name}{PART}")
    try:
        os.link(newest, link)
    except OSError:
        os.replace(newest, previous)
    else:
        os.replace(link, previous)


def sweep(folder: Path) -> None:
    """Removes files that a process left half-written when it was killed. Nobody else may be writing there."""
    for left in folder.glob(f".*{PART}"):
        left.unlink(missing_ok=True)


def checkpoints_of(run: str) -> list[Path]:
    """The checkpoints in a run folder, the newest first; `run` itself if it is a file."""
    path = Path(run)
    found = [path / CHECKPOINT, path / PREVIOUS] if path.is_dir() else [path]
    return [file for file in found if file.is_file()]


def resume_newest(model: Model, run: str) -> None:
    """Restores the newest checkpoint of a run that is whole and of this network; a note says if it is not the last.

    Raises:
        DataError: there is none; the message is about the newest.
    """
    found = checkpoints_of(run)
    if not found:
        raise DataError(f"there is no checkpoint at {run}: a run writes one when it begins, and after each epoch")
    try:
        model.resume(found[0])
    except DataError as error:
        if len(found) == 1 or not _resumes(model, found[1]):
            raise
        warnings.warn(f"{error}: going on from the checkpoint before, {found[1]}", stacklevel=2)
    else:
        if found[0].name == PREVIOUS:
            warnings.warn(f"{run} has lost its newest checkpoint: going on from the one before", stacklevel=2)


def note_unfinished(run: str | Path, epoch: int, best: int | None) -> None:
    """A note that the weights of a run are those of its checkpoint after an epoch, or of the best epoch before."""
    which = f"epoch {epoch}" if best is None else f"epoch {best}, the best so far,"
    note = f"{run} has no weights of a training that has ended: those after {which} are taken from its checkpoint"
    warnings.warn(note, stacklevel=4)


def _resumes(model: Model, path: Path) -> bool:
    try:
        model.resume(path)
    except DataError:
        return False
    return True
