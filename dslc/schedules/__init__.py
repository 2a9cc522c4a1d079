"""How the learning rate changes. One file a schedule: the file's name is its name in the language."""

from __future__ import annotations


class Schedule:
    """Base of all schedules; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    def multiplier(self, epoch: int) -> float:
        """What the learning rate is multiplied by in an epoch, counted from 0."""
        raise NotImplementedError
