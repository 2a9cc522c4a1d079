"""Callbacks for `model.fit(callbacks=[...])`: the base class of one's own, and ready ones."""

from dslc.runtime.training.callbacks import Callback
from dslc.runtime.training.histograms import Histograms
from dslc.runtime.training.mlflow_log import MLflow
from dslc.runtime.training.standard_callbacks import Checkpoints, CsvLog, LearningRates, TensorBoard, TimeBudget
from dslc.runtime.training.train_metrics import TrainMetrics

__all__ = [
    "Callback",
    "Checkpoints",
    "CsvLog",
    "Histograms",
    "LearningRates",
    "MLflow",
    "TensorBoard",
    "TimeBudget",
    "TrainMetrics",
]
