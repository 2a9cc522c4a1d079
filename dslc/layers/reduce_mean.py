"""reduce_mean: the mean along some axes."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers.reduce_sum import ReduceSum
from dslc.shape import Shape


@dataclass(frozen=True)
class ReduceMean(ReduceSum):
    """y = the mean of x along `axes`."""

    examples = (
        Example("reduce_mean(steps, keep=on)", ((5, 3),)),
        Example("reduce_mean((columns, channels))", ((3, 4, 5),)),
    )

    def factor(self, shape: Shape) -> float:
        """One over how many numbers there are."""
        return 1 / self.count(shape)
