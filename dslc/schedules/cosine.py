"""cosine: half a cosine wave from lr down to min (Loshchilov and Hutter 2017, without restarts)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.language.arguments import Count, NonNegative
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Cosine(Schedule):
    """min + (lr - min) * (1 + cos(pi * epoch / epochs)) / 2, then min; `min` is a learning rate."""

    epochs: Count
    min: NonNegative = 0.0

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """The formula of the class: lr in epoch 0, min from epoch `epochs` on."""
        if epoch >= self.epochs:
            return self.min
        return self.min + (lr - self.min) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
