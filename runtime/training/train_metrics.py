"""The training set's numbers in prediction mode, to be compared with those of the dev set."""

from __future__ import annotations

from typing import Any

from dslc.runtime.training.callbacks import Callback, Record
from dslc.runtime.training.trainable import Trainable


class TrainMetrics(Callback):
    """Adds `train_loss` and the metrics, as `train_accuracy`, of some training examples to each epoch's record.

    The record's own `loss` is a mean over an epoch in which the network has changed, with dropout and augmentation at
    work. These numbers are measured after the epoch and as those of the dev set are: what is left is variance.
    Callbacks behind it see them. Of several ranks each works through its part of the examples.
    """

    every_rank = True

    def __init__(self, x: Any, y: Any, sample_weight: Any = None) -> None:
        self.examples = (x, y, sample_weight)

    def on_train_begin(self, model: Trainable) -> None:
        """Keeps the model."""
        self.model = model

    def on_epoch(self, record: Record) -> None:
        """Measures."""
        record |= {f"train_{name}": value for name, value in self.model.evaluate_together(*self.examples).items()}
