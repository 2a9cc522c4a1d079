"""inverse_time: lr / (1 + rate * epoch) (notes: 'Learning rate decay')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.schedules import Schedule


@dataclass(frozen=True)
class InverseTime(Schedule):
    """The notes' decay."""

    rate: Positive

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        return lr / (1 + self.rate * epoch)
