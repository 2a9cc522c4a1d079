"""plateau: lr times a factor whenever a metric has stopped improving (PyTorch's ReduceLROnPlateau)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from dslc.language.arguments import Fraction, MetricName, NonNegative, Real, Whole
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiplies the learning rate by `factor`, down to `min` at most, after more than `patience` epochs in a row in
    which the metric was not better than its best value by a share `threshold` of that.

    `metric`: its column in the history; the checker fills it in where the file does not. `reductions`: how often the
    learning rate was reduced, which is known during training.
    """

    patience: Annotated[int, Whole(0)] = 10
    factor: Annotated[float, Real(0, 1, open_low=True, open_high=True)] = 0.1
    metric: Annotated[str, MetricName()] = ""
    min: NonNegative = 0.0
    threshold: Fraction = 1e-4
    reductions: int = 0

    @property
    def watched(self) -> str:
        """The metric."""
        return self.metric

    def during(self, epoch_steps: int, watched: Sequence[float]) -> Schedule:
        """With the number of reductions that these values of the metric lead to."""
        best, bad, reductions = math.inf, 0, 0
        for value in watched:
            better = value < best - self.threshold * abs(best) if math.isfinite(best) else value < best
            best, bad = (value, 0) if better else (best, bad + 1)
            if bad > self.patience:
                bad, reductions = 0, reductions + 1
        return replace(self, reductions=reductions)

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """lr * factor^reductions, but at least `min`; lr where that is smaller already."""
        return min(lr, max(self.min, lr * self.factor**self.reductions))
