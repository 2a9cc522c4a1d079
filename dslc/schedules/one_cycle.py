"""one_cycle: up to a high learning rate and down to nearly none, changed at every update (Smith and Topin 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from dslc.language.arguments import Fraction, Positive, Whole
from dslc.language.diagnostics import DataError
from dslc.schedules import Schedule


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine wave from max / start up to max during a share `warm` of the updates, and half a wave down to
    max / start / end, as PyTorch's OneCycleLR; then it stays there.

    Its length is given in `epochs` or in updates (`steps`). The optimizer's learning rate does not matter.
    """

    max: Positive
    epochs: Annotated[int | None, Whole(1)] = None
    steps: Annotated[int | None, Whole(1)] = None
    warm: Fraction = 0.3
    start: Positive = 25.0
    end: Positive = 1e4

    def during(self, epoch_steps: int, watched: Sequence[float]) -> Schedule:
        """With its length in updates."""
        return self if self.epochs is None else replace(self, epochs=None, steps=self.epochs * epoch_steps)

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """The wave at update `step`; the highest is number warm * steps - 1, the lowest number steps - 1.

        Raises:
            DataError: the length is given in epochs, and how many updates these have is not known outside of `fit`.
        """
        if self.steps is None:
            raise DataError("one_cycle(epochs=...) is known within fit: for steps by hand write one_cycle(steps=...)")
        first, last, peak = self.max / self.start, self.max / self.start / self.end, self.warm * self.steps - 1
        if step <= peak:
            return _wave(first, self.max, step / peak if peak else 1.0)
        return _wave(self.max, last, min(1.0, (step - peak) / (self.steps - 1 - peak)))


def _wave(start: float, end: float, share: float) -> float:
    """Half a cosine wave from start, at share 0, to end, at share 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
