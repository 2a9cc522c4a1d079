"""warmup: a linear increase from nearly 0 to the learning rate (Goyal et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from dslc.language.arguments import Whole
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Warmup(Schedule):
    """Update number `step`, from 0, gets (step + 1) / steps of the next schedule's learning rate (or of lr), at most
    all of it."""

    steps: Annotated[int, Whole(2)]
    then: Schedule | None = None

    @property
    def watched(self) -> str | None:
        """What the next schedule goes by."""
        return None if self.then is None else self.then.watched

    def during(self, epoch_steps: int, watched: Sequence[float]) -> Schedule:
        """With the next schedule as it is in the next epoch."""
        return self if self.then is None else replace(self, then=self.then.during(epoch_steps, watched))

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """min(1, (step + 1) / steps) times the learning rate of `then`."""
        full = lr if self.then is None else self.then.learning_rate(lr, epoch, step)
        return full * min(1.0, (step + 1) / self.steps)
