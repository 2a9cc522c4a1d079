"""warmup: a straight line from nearly 0 up to the learning rate (Goyal et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Whole
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Warmup(Schedule):
    """The first updates, counted from 0, take (step + 1) / steps of what the schedule behind it gives, or of lr."""

    steps: Annotated[int, Whole(2)]
    then: Schedule | None = None

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        full = lr if self.then is None else self.then.learning_rate(lr, epoch, step)
        return full * min(1.0, (step + 1) / self.steps)
