"""step: lr * factor^(epoch // every)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Count, Real
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplies the learning rate by `factor` every `every` epochs."""

    every: Count
    factor: Annotated[float, Real(0, 1, open_low=True, open_high=True)]

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """lr * factor^(epoch // every)."""
        return lr * self.factor ** (epoch // self.every)
