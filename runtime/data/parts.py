"""Even parts of data and of mini-batches, one for each rank of a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """Part `number`, counted from 0, of `of` parts."""

    number: int = 0
    of: int = 1

    def rows(self, count: int) -> slice:
        """Those of so many rows that are in it: neighbours, and as many as in any other part, or one less or more."""
        return slice(count * self.number // self.of, count * (self.number + 1) // self.of)

    def has(self, number: int) -> bool:
        """Whether the batch of this number, counted from 0, is in it, where nobody knows how many will come."""
        return number % self.of == self.number


WHOLE = Part()


@dataclass(frozen=True)
class Share:
    """What a rank works through of each mini-batch of `batch` examples: its part of each `block` of them. A block that
    ends before the rank's part lends it its first example to compute with, which does not count."""

    batch: int
    block: int
    part: Part

    def places(self, count: int) -> Array:
        """The places of these examples in a mini-batch of so many, which may be fewer than usual."""
        return _places(self, count)

    def own_of(self, count: int) -> tuple[Array, Array]:
        """The places of these examples in `count` of several mini-batches, one after the other; and for each of all the
        place among these, which means nothing for others."""
        if self.part == WHOLE:
            return np.arange(count), np.arange(count)
        begins = range(0, count, self.batch)
        own = np.concatenate([begin + self.places(min(self.batch, count - begin)) for begin in begins])
        order = np.zeros(count, np.int64)
        order[own] = np.arange(len(own))
        return own, order

    def bounds(self, size: int) -> tuple[int, int]:
        """Where the rank's part of a block begins and ends, of which `size` examples are there."""
        rows = self.part.rows(self.block)
        return min(rows.start, size), min(rows.stop, size)


@lru_cache(16)
def _places(share: Share, count: int) -> Array:
    found = []
    for begin in range(0, count, share.block):
        low, high = share.bounds(min(share.block, count - begin))
        found.append(begin + (np.arange(low, high) if low < high else np.zeros(1, np.int64)))
    return np.concatenate(found)
