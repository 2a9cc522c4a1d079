"""The history of a training: one record per epoch."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslc.cache import write_whole
from dslc.html_pieces import html_table
from dslc.language.diagnostics import DataError


@dataclass
class History:
    """What `fit` returns. `records` hold epoch, lr, loss (mean over the epoch's labels, without the penalty, as
    `dev_loss`), auxiliary (that of heads that are `train_only`), penalty (its mean, where there are regularizers),
    seconds, and the dev set's metrics.

    `best_epoch` is the epoch whose weights were kept. `stopped` says why training ended: `epochs`, `early`,
    `interrupted`, `diverged`, `failed` (a callback raised), or the word that `on_epoch` or a callback returned.
    """

    records: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = "epochs"

    @staticmethod
    def from_csv(path: str | Path, best_epoch: int | None, stopped: str) -> History:
        """Reads records that `to_csv` wrote; the file does not hold `best_epoch` and `stopped`.

        Raises:
            DataError: the file cannot be read or is not a history.
        """
        try:
            with Path(path).open(newline="", encoding="utf-8") as file:
                records = [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(file, strict=True)]
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
        except (ValueError, TypeError, AttributeError, csv.Error):
            raise DataError(f"{path} is not the history of a training: it must be a table of numbers") from None
        return History(records, best_epoch, stopped)

    def to_dict(self) -> dict[str, list[float]]:
        """The records as a list for each column; NaN if a record has no value."""
        columns = list(dict.fromkeys(key for record in self.records for key in record))
        return {key: [record.get(key, float("nan")) for record in self.records] for key in columns}

    def to_csv(self, path: str | Path) -> None:
        """Writes one row per epoch; the file is replaced atomically. Raises OSError if that fails."""
        columns = self.to_dict()
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        write_whole(Path(path), text.getvalue().encode())

    def _repr_html_(self) -> str:
        """A table of the epochs, the one whose weights were kept in bold, for notebooks."""
        columns = self.to_dict()
        rows = [[f"{value:.4g}" for value in row] for row in zip(*columns.values(), strict=True)]
        kept = [record["epoch"] for record in self.records].index(self.best_epoch) if self.best_epoch else None
        return html_table(f"ended: {self.stopped}", list(columns), rows, kept)

    def plot(self, axes: Any = None) -> Any:
        """Plots the losses over the epochs with matplotlib, on `axes` if given, with the epoch whose weights were kept,
        and returns the axes. Raises ImportError if matplotlib is not installed."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError("History.plot needs matplotlib: pip install matplotlib") from None
        axes = axes or plt.subplots()[1]
        columns = self.to_dict()
        for name in ("loss", "dev_loss"):
            if name in columns:
                axes.plot(columns["epoch"], columns[name], label=name)
        if self.best_epoch is not None:
            axes.axvline(self.best_epoch, linestyle=":", color="gray", label="kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.legend()
        return axes
