"""The interface of a model that the training loop needs. `runtime.model.Model` has it, and is not imported here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dslc.ir import Network, Training
from dslc.planning.planner import Options
from dslc.runtime.data.parts import Share
from dslc.runtime.native.locks import Lock
from dslc.runtime.native.parameters import Stored
from dslc.runtime.training.checkpoint import FitState
from dslc.runtime.training.pieces import Piece
from dslc.target import Target

Array = np.ndarray[Any, Any]


class Trainable(Protocol):
    """A compiled network with parameters and its position in training. `Model` says more about each member."""

    network: Network
    target: Target | None
    options: Options | None
    seed: int
    epoch: int
    watched: list[float]
    lr_factor: float
    fit_state: FitState | None

    @property
    def lock(self) -> Lock:
        """Held while the network's memory is in use."""

    @property
    def threads(self) -> int:
        """How many threads share the work at most."""

    @property
    def training(self) -> Training:
        """The settings of `train`. Raises DataError if the file has none."""

    @property
    def step(self) -> int:
        """The number of updates so far."""

    def learning_rate(self, epoch: int, step: int | None = None) -> float:
        """The learning rate in an epoch at an update, both counted from 0."""

    def begin_epoch(self, epoch_steps: int | None) -> None:
        """Tells the schedule how many updates the next epoch has, and the metric that it goes by."""

    @property
    def batch(self) -> int:
        """The largest number of examples in a mini-batch."""

    @property
    def mini_batch(self) -> int:
        """The number of examples in a mini-batch, on all ranks together."""

    @property
    def share(self) -> Share:
        """What this rank works through of each mini-batch."""

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Loss and metrics by name over all examples, in prediction mode."""

    def evaluate_together(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """The same by all ranks of the training that is running; all of them make this call."""

    def prediction_times(self, x: Any, runs: int) -> list[float]:
        """The seconds that the C takes to predict the first example of x, measured `runs` times."""

    def train_batches(self, piece: Piece, done: int, sums: Array, seconds: float) -> tuple[bool, int]:
        """Trains on the mini-batches of a piece from position `done` of its order on, for about `seconds`.
        Returns whether the loss stayed finite, and the new position. The parts of the losses are added to `sums`."""

    def gradients(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, Array]:
        """The gradient of every parameter that learns, by name; nothing is updated."""

    def copy_weights(self) -> dict[str, Array]:
        """Copies of all parameters by name."""

    def trained_weights(self) -> dict[str, Array]:
        """The same as the next step of training uses them: without averages."""

    def keep_weights(self, before: Mapping[str, Stored] | None) -> Mapping[str, Stored]:
        """A copy of the weights that predictions use; the one from `before` is overwritten."""

    def swap_weights(self, weights: Mapping[str, Stored]) -> None:
        """Exchanges the weights that predictions use with a copy."""

    def checkpoint(self, path: str | Path) -> None:
        """Writes a file with all that training needs to continue. Raises DataError if that fails."""

    def first_not_finite(self) -> str | None:
        """The name of the first parameter or array of optimizer state with a value that is not finite; None if all are
        finite."""
