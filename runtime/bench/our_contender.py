"""dslc, through the methods of `Model` that a user calls with NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.runtime.bench.contender import Array, Arrays, Contender, Given, Job, Unknown
from dslc.runtime.model import Model


class OurContender(Contender):
    """The plan shares its work among as many of the threads as pay off."""

    def __init__(self, network: Network, weights: Arrays, threads: int) -> None:
        self.model: Model = Model(network, "auto")
        self.weights: Arrays = weights

    @classmethod
    def around(cls, model: Model) -> OurContender:
        """The contender that a model is, with its parameters."""
        found = object.__new__(cls)
        found.model, found.weights = model, model.copy_weights()
        return found

    def take(self, job: Job, given: Given) -> None:
        """Begins with the given weights. Raises Unknown for training without `train`."""
        if job == "train" and self.model.network.training is None:
            raise Unknown("a network without `train`")
        self.model.restore_weights(dict(self.weights))
        self.job, self.x = job, _alone(given.x)
        self.targets = [_alone(some) for some in given.targets]

    def call(self, turn: int) -> Any:
        """A step of training, or a prediction."""
        if self.job == "predict":
            return self.model.predict(self.x)
        return self.model.train_step(self.x, self.targets[turn % len(self.targets)])

    def arrays(self, result: Any) -> list[Array]:
        """The outputs by head; of a step the loss without the penalty of regularization."""
        if self.job == "predict":
            return list(result.values()) if isinstance(result, dict) else [result]
        parts, heads = self.model.compiled.loss, len(self.model.network.heads)
        return [np.asarray(sum(parts[1 + 2 * h] / max(parts[2 + 2 * h], 1.0) for h in range(heads)))]

    def choice(self) -> str:
        """The number of threads."""
        return f"{self.model.threads} thread{'s' * (self.model.threads > 1)}"


def _alone(arrays: Arrays) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)
