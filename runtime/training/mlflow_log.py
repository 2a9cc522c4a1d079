"""A callback for MLflow."""

from __future__ import annotations

from typing import Any

from dslc.language.diagnostics import UsageError
from dslc.runtime.training.callbacks import Callback, Record
from dslc.runtime.training.history import History
from dslc.runtime.training.settings import settings_of
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.training.trainable import Trainable

MOST_LETTERS = 500
"""Of a parameter's value, which MLflow keeps."""


class MLflow(Callback):
    """Logs a training to MLflow: every setting as a parameter, the numbers of each epoch as metrics, the spec, and why
    it ended. It goes into the run that is active, else into a new one with the given name, which it ends.

    Raises:
        UsageError: mlflow is not installed.
    """

    def __init__(self, run_name: str | None = None) -> None:
        try:
            import mlflow
        except ImportError:
            raise UsageError("MLflow's runs are written with mlflow: pip install 'dslc[mlflow]'") from None
        self.mlflow: Any = mlflow
        self.run_name = run_name
        self.own = False

    def on_train_begin(self, model: Trainable) -> None:
        """Logs the settings and the spec."""
        if self.mlflow.active_run() is None:
            self.mlflow.start_run(run_name=self.run_name or model.network.name)
            self.own = True
        settings = {name.replace(" ", "_"): text[:MOST_LETTERS] for name, text in settings_of(model.network)}
        self.mlflow.log_params({"net": model.network.name, **settings})
        self.mlflow.log_text(as_trained(model.network), "spec.net")

    def on_epoch(self, record: Record) -> None:
        """Logs the numbers under their names in the history."""
        numbers = {name: value for name, value in record.items() if name != "epoch"}
        self.mlflow.log_metrics(numbers, step=int(record["epoch"]))

    def on_train_end(self, history: History) -> None:
        """Logs why training ended, if there is a run to log it to; ends one that it has begun."""
        if self.mlflow.active_run() is None:
            return
        self.mlflow.set_tags({"stopped": history.stopped, "best_epoch": str(history.best_epoch)})
        if self.own:
            self.mlflow.end_run("FINISHED" if history.stopped not in ("failed", "diverged") else "FAILED")
