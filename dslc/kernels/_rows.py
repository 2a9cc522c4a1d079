"""Rows of a few pixels, so that channels fill vectors however few there are.

Pixels are stored one after the other. A row takes as many as make a whole number of vectors; sums go down the columns
of rows, and only at the end from the columns that belong to a channel to the channel.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 64
"""Rows that are summed before their sums are added to others: short sums have less rounding error."""
LONG = 128
"""A sum of more numbers than this is a sum of short ones."""
MAX_NUMBERS = 1024
"""Rows longer than this are not rounded up to whole vectors."""


@dataclass(frozen=True)
class Rows:
    """A row of `pixels` pixels with `channels` channels each."""

    channels: int
    pixels: int

    @property
    def numbers(self) -> int:
        """Numbers in a row."""
        return self.channels * self.pixels

    @property
    def block(self) -> int:
        """Pixels in a block of rows."""
        return self.pixels * BLOCK


IN_REGISTERS = 8
"""Sums of so many vectors stay in registers, if the compiler knows their number."""
ROW_SIZES = ("channels", "pixels", "row_pixels", "numbers")
"""What may be parameters of a kernel that goes row by row."""


def row_context(channels: int, pixels: int, lanes: int, least: int) -> dict[str, int]:
    """Values for the template of such a kernel: of images with so many `pixels`, in rows of `row_pixels`."""
    rows = rows_of(channels, lanes, least)
    return {"channels": channels, "pixels": pixels, "row_pixels": rows.pixels, "numbers": rows.numbers}


def block_context(channels: int, pixels: int, lanes: int) -> dict[str, int]:
    """The same for short rows in blocks of `block` pixels."""
    return {**row_context(channels, pixels, lanes, 64), "block": rows_of(channels, lanes, 64).block}


def block_sizes(channels: int, lanes: int) -> tuple[str, ...]:
    """What may be parameters of a kernel that goes block by block: of short rows, only the number of pixels."""
    short = rows_of(channels, lanes, 64).numbers <= IN_REGISTERS * lanes
    return ("pixels",) if short else (*ROW_SIZES, "block")


def rows_of(channels: int, lanes: int, least: int) -> Rows:
    """The shortest row of at least `least` numbers that ends at the end of a vector."""
    shortest = -(-least // channels)
    whole = next(p for p in range(shortest, shortest + lanes) if p * channels % lanes == 0)
    return Rows(channels, whole if whole * channels <= MAX_NUMBERS else shortest)
