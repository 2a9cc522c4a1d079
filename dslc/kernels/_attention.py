"""What both kernels of attention share. A task is a head of an example; its products are those of a few queries at a
time, the rows of a register tile, with all keys that they see."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.kernels import Setting
from dslc.kernels.product import Tiles, exact_count
from dslc.layers.attention import AttentionDetail

SUMMED = 128
"""Sums over more keys than this are sums of short sums: they have less rounding error."""
QUERIES = 32
"""At least so many queries are worked on before their shares are added to the gradients of keys and values."""


@dataclass(frozen=True)
class Heads:
    """The matrix products of a head. `scores`: rows of queries with turned keys; `slopes`: rows of the result's
    gradient with turned values; `results`: rows of weights of keys with rows of values or keys; `turned`: the same
    weights with keys for rows. A row of weights has room for `padded` keys, and a row of sums for `wide` numbers."""

    d: AttentionDetail
    lanes: int
    heights: tuple[int, ...]
    key_heights: tuple[int, ...]

    @property
    def padded(self) -> int:
        """Keys, rounded up to whole vectors."""
        return -(-self.d.keys // self.lanes) * self.lanes

    @property
    def wide(self) -> int:
        """Numbers of a head, rounded up to whole vectors."""
        return -(-self.d.size // self.lanes) * self.lanes

    @property
    def query_row(self) -> int:
        """From the queries of a step to those of the next."""
        return self.d.channels if self.d.crossed else 3 * self.d.channels

    @property
    def key_row(self) -> int:
        """From the keys or values of a step to those of the next."""
        return (2 if self.d.crossed else 3) * self.d.channels

    @property
    def block(self) -> int:
        """Queries that the gradients of keys and values are summed over at a time: whole tiles."""
        height = self.heights[0]
        return min(height * -(-QUERIES // height), self.d.steps)

    @property
    def scores(self) -> Tiles:
        """Queries times turned keys."""
        return Tiles(self.heights, self.query_row, self.padded // self.lanes)

    @property
    def slopes(self) -> Tiles:
        """Gradients of the result times turned values."""
        return Tiles(self.heights, self.d.channels, self.padded // self.lanes)

    @property
    def results(self) -> Tiles:
        """Weights of keys times values or keys."""
        return Tiles(self.heights, self.padded, self.wide // self.lanes)

    @property
    def turned(self) -> Tiles:
        """Weights of queries times gradients or queries."""
        return Tiles(self.key_heights, 1, self.wide // self.lanes)


def heads_of(d: AttentionDetail, setting: Setting) -> Heads:
    """Tiles of two vectors, as high as there are registers for, that cut queries and keys evenly."""
    queries, keys = (exact_count(setting.tile_rows, steps, 1, 2).heights for steps in (d.steps, d.keys))
    return Heads(d, setting.lanes, queries, keys)
