"""Rows of a few pixels, so that channels fill vectors however few there are.

Pixels lie one after the other. A row takes as many as give a whole number of vectors; sums go down the columns of rows,
and only at the end from the columns of a channel to the channel.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 64
"""Rows that are summed before their sums are added to others: short sums are accurate."""
LONG = 128
"""A sum of more numbers than this is a sum of short ones."""
MOST_NUMBERS = 1024
"""A longer row is not worth whole vectors."""


@dataclass(frozen=True)
class Rows:
    channels: int
    pixels: int

    @property
    def numbers(self) -> int:
        return self.channels * self.pixels

    @property
    def block(self) -> int:
        """The pixels of a block of rows."""
        return self.pixels * BLOCK


def rows_of(channels: int, lanes: int, least: int) -> Rows:
    """The shortest row of at least so many numbers that ends with a vector."""
    shortest = -(-least // channels)
    whole = next(p for p in range(shortest, shortest + lanes) if p * channels % lanes == 0)
    return Rows(channels, whole if whole * channels <= MOST_NUMBERS else shortest)
