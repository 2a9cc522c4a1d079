"""Callbacks for `model.fit(callbacks=[...])`: the base class of one's own, and ready ones."""

from dslc.runtime.training.callbacks import Callback
from dslc.runtime.training.histograms import Histograms
from dslc.runtime.training.standard_callbacks import Checkpoints, CsvLog, LearningRates, TensorBoard, TimeBudget

__all__ = ["Callback", "Checkpoints", "CsvLog", "Histograms", "LearningRates", "TensorBoard", "TimeBudget"]
