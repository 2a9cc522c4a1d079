"""How parameters are averaged over the updates. One file per average: the file's name is its name in the language."""

from __future__ import annotations

from dslc.numerics import Array


class Average:
    """Base class of all averages; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    @property
    def keep(self) -> float:
        """The share of the old average that an update keeps; the first update keeps nothing."""
        raise NotImplementedError

    def reference(self, average: Array, w: Array, step: int) -> Array:
        """The new average in NumPy, after update number `step`, counted from 1."""
        raise NotImplementedError
