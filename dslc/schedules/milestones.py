"""milestones: lr times a factor from certain epochs on (He et al. 2016; PyTorch's MultiStepLR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Increasing, Real
from dslc.schedules import Schedule


@dataclass(frozen=True)
class Milestones(Schedule):
    """Multiplies the learning rate by `factor` after each of these numbers of epochs."""

    epochs: Annotated[tuple[int, ...], Increasing()]
    factor: Annotated[float, Real(0, 1, open_low=True, open_high=True)]

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """lr * factor^(the number of milestones that are at most `epoch`)."""
        return lr * self.factor ** sum(milestone <= epoch for milestone in self.epochs)
