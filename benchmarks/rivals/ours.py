"""dslc, through its Python interface."""

from __future__ import annotations

from typing import Any

import numpy as np

import dslc
from net import Net, make_data
from rivals import Rival, Weights


class Ours(Rival):
    """`dslc.loads` and the methods of the model that it returns."""

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        self.model = dslc.loads(net.text, threads=threads)
        if weights is not None:
            self.model.restore_weights(weights)
        self.x, self.labels = make_data(net)
        self.one = self.x[:1].copy()

    def export(self, path: str) -> None:
        """Writes the weights for everyone, biases and running averages moved off their round values."""
        random = np.random.default_rng(1)
        weights = self.model.copy_weights()
        moved = {name: w + random.uniform(0, 0.2, w.shape) if w.ndim == 1 else w for name, w in weights.items()}
        np.savez(path, **{name: w.astype(self.model.dtype) for name, w in moved.items()})

    def train(self, turn: int) -> float:
        return self.model.train_step(self.x, self.labels[turn])

    def predict(self) -> Any:
        return self.model.predict(self.x)

    def predict_one(self) -> Any:
        return self.model.predict(self.one)
