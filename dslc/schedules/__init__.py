"""How the learning rate changes. One file per schedule: the file's name is its name in the language."""

from __future__ import annotations


class Schedule:
    """Base class of all schedules; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    def learning_rate(self, lr: float, epoch: int, step: int) -> float:
        """The learning rate of one update; `lr` is the optimizer's, `epoch` and `step` (updates) count from 0."""
        raise NotImplementedError
