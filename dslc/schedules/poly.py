"""poly: a power of the share of epochs that are left (DeepLab: Chen et al. 2017; PyTorch's PolynomialLR)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslc.language.arguments import Count, NonNegative, Positive
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Poly(Schedule):
    """end + (lr - end) * (1 - epoch / epochs)^power, then end, which is a learning rate; power 1 is a straight line."""

    power: Positive
    epochs: Count
    end: NonNegative = 0.0

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """The formula of the class: lr in epoch 0, end from epoch `epochs` on."""
        left = 1 - min(epoch, self.epochs) / self.epochs
        return self.end + (lr - self.end) * math.pow(left, self.power)
