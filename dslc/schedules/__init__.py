"""How the learning rate changes. One file per schedule: the file's name is its name in the language."""

from __future__ import annotations

from collections.abc import Sequence


class Schedule:
    """Base class of all schedules; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    @property
    def watched(self) -> str | None:
        """The column of the history that it goes by; None if it goes by epoch and step alone."""
        return None

    def during(self, epoch_steps: int, watched: Sequence[float]) -> Schedule:
        """The schedule as it is in the next epoch of a training with `epoch_steps` updates an epoch. watched: the
        values of the column `watched` in the epochs so far, with their signs turned so that smaller is better."""
        return self

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """The learning rate of one update; `lr` is the optimizer's, `epoch` and `step` (updates) count from 0."""
        raise NotImplementedError
