"""exponential: lr * rate^epoch (notes: 'Learning rate decay')."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Real
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr * rate^epoch, with a rate such as 0.95."""

    rate: Annotated[float, Real(0, 1, open_low=True, open_high=True)]

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """lr * rate^epoch."""
        return lr * self.rate**epoch
