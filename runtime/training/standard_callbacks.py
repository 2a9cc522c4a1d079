"""Callbacks that are ready for use: records as CSV and for TensorBoard, checkpoints, learning rates, a time budget."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

from dslc.language.diagnostics import DataError, UsageError
from dslc.runtime.training.callbacks import Callback, Record
from dslc.runtime.training.history import History
from dslc.runtime.training.trainable import Trainable


class CsvLog(Callback):
    """Adds a row to a CSV file after each epoch, so that it can be watched; a file that is there is continued.

    Raises:
        DataError: in `fit`, if the file cannot be written or has other columns.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_epoch(self, record: Record) -> None:
        """Writes the record, in a new file the names before it."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+", newline="", encoding="utf-8") as file:
                file.seek(0)
                names = next(csv.reader(file), None)
                if names is None:
                    writer.writerow(record)
                elif names != list(record):
                    raise DataError(f"{self.path} has the columns {', '.join(names)}, not {', '.join(record)}")
                writer.writerow(record.values())
                file.write(text.getvalue())
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}") from None


class TensorBoard(Callback):
    """Writes files for TensorBoard: the numbers of each epoch, under their names in the history, and over the updates
    `batch_loss` and `batch_lr`.

    Raises:
        UsageError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, every_batch: bool = False) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError(
                "TensorBoard's files are written with tensorboardX: pip install 'dslc[tensorboard]'"
            ) from None
        self.folder, self.every_batch, self.make_writer = Path(folder), every_batch, SummaryWriter
        self.writer: Any = None

    def on_train_begin(self, model: Trainable) -> None:
        """Opens a new file in the folder."""
        try:
            self.writer = self.make_writer(str(self.folder))
        except OSError as error:
            raise DataError(f"cannot write to {self.folder}: {error.strerror}") from None

    def on_batch(self, record: Record) -> None:
        """Writes loss and learning rate."""
        for name in ("loss", "lr"):
            self.writer.add_scalar(f"batch_{name}", record[name], int(record["step"]))

    def on_epoch(self, record: Record) -> None:
        """Writes the record, to be seen at once."""
        for name, value in record.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, int(record["epoch"]))
        self.writer.flush()

    def on_train_end(self, history: History) -> None:
        """Closes the file."""
        if self.writer is not None:
            self.writer.close()


class Checkpoints(Callback):
    """Writes a checkpoint after every so many epochs. `path` contains `{epoch}`, as in `run/checkpoint-{epoch}`, or all
    are written to one file. As long as a parameter is not finite, none is written.

    Raises:
        DataError: `every` is less than 1; in `fit`, if the file cannot be written.
    """

    def __init__(self, path: str | Path, every: int = 1) -> None:
        if every < 1:
            raise DataError(f"checkpoints are written after every 1 or more epochs, not {every}")
        self.path, self.every = str(path), every

    def on_train_begin(self, model: Trainable) -> None:
        """Keeps the model."""
        self.model = model

    def on_epoch(self, record: Record) -> None:
        """Writes the checkpoint if it is time."""
        if record["epoch"] % self.every == 0 and self.model.first_not_finite() is None:
            self.model.checkpoint(self.path.replace("{epoch}", f"{record['epoch']:.0f}"))


class LearningRates(Callback):
    """Keeps the learning rate over the updates: `steps` and `rates`, two lists of the same length."""

    def __init__(self, every_batch: bool = False) -> None:
        self.every_batch = every_batch
        self.steps: list[int] = []
        self.rates: list[float] = []

    def on_batch(self, record: Record) -> None:
        """Adds the last update."""
        self.steps.append(int(record["step"]))
        self.rates.append(record["lr"])


class TimeBudget(Callback):
    """Ends training with the word `time` so many seconds after its begin, within an epoch if need be: a slice of
    mini-batches, and what is done at the end of an epoch, may take longer.

    Raises:
        DataError: there are no seconds.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise DataError(f"a time budget is more than 0 seconds, not {seconds:g}")
        self.seconds = seconds

    def on_train_begin(self, model: Trainable) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_batch(self, record: Record) -> str | None:
        """Ends training if the time is up."""
        return "time" if time.monotonic() - self.started >= self.seconds else None

    def on_epoch(self, record: Record) -> str | None:
        """Ends training if the time is up: measuring the dev set takes time too."""
        return self.on_batch(record)
