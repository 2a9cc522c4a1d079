"""Histograms of weights and gradients, one of each tensor after every epoch: a callback, and the file that it keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.json_text import parsed
from dslc.language.diagnostics import DataError
from dslc.runtime.training.callbacks import Callback, Record
from dslc.runtime.training.trainable import Trainable

Array = np.ndarray[Any, Any]
BINS = 24
EXAMPLES = 32
"""Gradients are those of so many examples at most, always the same ones."""


class Histograms(Callback):
    """Writes a JSON file, a line of `records` after each epoch: `epoch`, and by `weights` and `gradients` and the name
    of a tensor that learns [smallest, largest, counts], with counts in equal steps between them.

    The gradients are those of the loss of `sample`, the first few examples, and take the memory of `gradients()`.
    Nothing of training changes. A training that is resumed continues the file.

    Raises:
        DataError: in `fit`, if the file cannot be written.
    """

    def __init__(self, path: str | Path, sample: tuple[Any, Any] | None = None) -> None:
        self.path, self.sample = Path(path), sample
        self.records: list[Mapping[str, Any]] = []

    def on_train_begin(self, model: Trainable) -> None:
        """Keeps the model, and what the file says of the epochs before."""
        self.model = model
        self.records = [record for record in read_histograms(self.path) if record["epoch"] <= model.epoch]

    def on_epoch(self, record: Record) -> None:
        """Adds a record and writes the file."""
        learn = {p.name for p in self.model.network.parameters if p.learns}
        weights = self.model.copy_weights()
        found = {"weights": {name: histogram(weights[name]) for name in weights if name in learn}}
        if self.sample is not None and self.model.first_not_finite() is None:
            gradients = self.model.gradients(*self.sample)
            found["gradients"] = {name: histogram(gradient) for name, gradient in gradients.items()}
        self.records.append({"epoch": int(record["epoch"]), **found})
        try:
            write_whole(self.path, json.dumps({"records": self.records}).encode())
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}") from None


def histogram(values: Array) -> list[Any]:
    """[smallest, largest, counts] of the finite numbers of an array."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return [0.0, 0.0, [0] * BINS]
    counts, edges = np.histogram(finite, bins=BINS)
    return [float(f"{edges[0]:.6g}"), float(f"{edges[-1]:.6g}"), counts.tolist()]


def read_histograms(path: Path) -> list[Mapping[str, Any]]:
    """The records of a file; none where there is no such file, or it holds something else."""
    try:
        records: list[Mapping[str, Any]] = parsed(path.read_bytes())["records"]
        return [record for record in records if isinstance(record["epoch"], int)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
