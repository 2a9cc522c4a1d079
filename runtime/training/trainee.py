"""What the training loop needs of a model: `runtime.model.Model` is one, and training need not know it."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from typing import Any, Protocol

import numpy as np

from dslc.ir import Network, Training
from dslc.planning.planner import Options
from dslc.runtime.training.checkpoint import Standing
from dslc.target import Target

Array = np.ndarray[Any, Any]


class Trainee(Protocol):
    """A compiled network with parameters, and its position in training. See `Model` for what each member does."""

    network: Network
    target: Target | None
    threads: int
    options: Options | None
    seed: int
    epoch: int
    standing: Standing | None

    @property
    def lock(self) -> RLock: ...
    @property
    def training(self) -> Training: ...
    @property
    def step(self) -> int: ...
    def learning_rate(self, epoch: int, step: int | None = None) -> float: ...
    def evaluate(self, x: Any, y: Any) -> dict[str, float]: ...
    def prediction_times(self, x: Any, runs: int) -> list[float]: ...
    def train_batches(
        self, inputs: list[Array], targets: list[Array], order: Array, done: int, sums: Array, seconds: float
    ) -> tuple[bool, int]: ...
    def copy_weights(self) -> dict[str, Array]: ...
    def restore_weights(self, weights: Mapping[str, Array]) -> None: ...
    def first_not_finite(self) -> str | None: ...
