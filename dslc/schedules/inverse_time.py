"""inverse_time: lr / (1 + rate * epoch) (notes: 'Learning rate decay')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.schedules import Schedule


@dataclass(frozen=True)
class InverseTime(Schedule):
    """lr / (1 + rate * epoch), the first decay of the notes."""

    rate: Positive

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """lr / (1 + rate * epoch)."""
        return lr / (1 + self.rate * epoch)
