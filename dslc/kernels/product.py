"""The one micro-kernel of all matrix products: a few rows by one or two vectors of sums, held in registers.

    sum[row][j] += a[row * a_row] * b[j * b_block]      while a and b advance

Of `precision mixed` each number of a and b is a pair of bf16 numbers, and each product the sum of two.

Dense layers, convolutions and their gradients differ only in what a row is and how a and b advance. The distance
between rows is a constant for the C compiler, so that all of them are addressed from one register.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Product:
    """One size of the micro-kernel: `rows`, `vectors` in a row, and `a_row`, the distance between rows of `a`; it is 0
    for a single row, so that layers share the kernel. `run` is the length of a short sum that the C compiler should
    know, else 0; with `prefetches` the kernel prefetches what it will need of `b`. `bf16`: a and b are pairs of bf16
    numbers."""

    rows: int
    vectors: int
    a_row: int = 0
    run: int = 0
    prefetches: bool = False
    bf16: bool = False

    @property
    def name(self) -> str:
        """The name of the C function, such as `product6x2_784`."""
        run, prefetches = f"_run{self.run}" if self.run else "", "_prefetching" if self.prefetches else ""
        distance = f"_{self.a_row}" if self.a_row else ""
        return f"product{self.rows}x{self.vectors}{distance}{run}{prefetches}{'_bf16' if self.bf16 else ''}"


LINE = 16
"""Numbers in a cache line, in float32."""


def spread(numbers: int) -> int:
    """`numbers` rounded up to an odd number of cache lines, so that consecutive arrays of this length do not all map to
    the same cache sets."""
    lines = -(-numbers // LINE)
    return (lines + 1 - lines % 2) * LINE


SHORT_RUN = 40
"""Sums up to this length are unrolled by the C compiler."""


def short(run: int) -> int:
    """`run` if it is short, else 0."""
    return run if run <= SHORT_RUN else 0


def max_rows(tile_rows: int, blocks: int) -> int:
    """Rows of a tile that stay in registers: twice as many if a row is one vector and not two."""
    return tile_rows if blocks > 1 else 2 * tile_rows


def even_rows(count: int, most: int) -> int:
    """The height of tiles such that `count` rows take as few tiles as possible, all about equally high."""
    tiles = -(-count // most)
    return -(-count // tiles)


@dataclass(frozen=True)
class Tiles:
    """The micro-kernel in the heights that a kernel needs, the largest first, for columns in `blocks` vectors.

    Vectors are taken in pairs; if their number is odd, the last is taken alone.
    """

    heights: tuple[int, ...]
    a_row: int
    blocks: int
    run: int = 0
    prefetches: bool = False
    bf16: bool = False

    @property
    def panels(self) -> int:
        """Pairs of vectors; the last may be a single one."""
        return -(-self.blocks // 2)

    @property
    def widths(self) -> tuple[int, ...]:
        """The numbers of vectors in a row that occur."""
        return (1,) if self.blocks == 1 else (2, 1) if self.blocks % 2 else (2,)

    @property
    def products(self) -> tuple[Product, ...]:
        """The micro-kernels that are needed."""
        return tuple(self._of_size(rows, vectors) for vectors in self.widths for rows in self.heights)

    def vectors(self, panels: int) -> str:
        """How many vectors one of the `panels` has, as a C expression."""
        return str(self.widths[0]) if len(self.widths) == 1 else f"panel == {panels - 1} ? 1 : 2"

    def height_for(self, count: str, heights: Sequence[int] = ()) -> str:
        """The largest of these heights, by default of all, that is at most `count`, as a C expression."""
        return _largest(heights or self.heights, count)

    @property
    def function(self) -> str:
        """The function for `rows` and `vectors`, as a C expression."""
        return self.choice(tuple(p.name for p in self.products), self.heights)

    def choice(self, functions: Sequence[str], heights: Sequence[int]) -> str:
        """The same of these functions in the order of `products`, for tiles of these heights."""
        count = len(heights)
        if len(self.widths) == 1:
            return _of_heights(functions, heights)
        return f"vectors == 1 ? ({_of_heights(functions[count:], heights)}) : {_of_heights(functions[:count], heights)}"

    def named(self, rows: int, vectors: int) -> str:
        """The function of one size, in C; NULL if no panel has so many vectors."""
        return self._of_size(rows, vectors).name if vectors in self.widths else "NULL"

    def _of_size(self, rows: int, vectors: int) -> Product:
        return Product(rows, vectors, self.a_row if rows > 1 else 0, self.run, self.prefetches, self.bf16)


def _largest(heights: Sequence[int], count: str) -> str:
    if len({str(height) for height in heights}) == 1:
        return str(heights[0])
    return " : ".join([*(f"{count} >= {rows} ? {rows}" for rows in heights[:-1]), str(heights[-1])])


def _of_heights(functions: Sequence[str], heights: Sequence[int]) -> str:
    if len({*map(str, functions)}) == 1:
        return functions[0]
    chosen = [f"rows == {rows} ? {name}" for rows, name in zip(heights[:-1], functions, strict=False)]
    return " : ".join([*chosen, functions[-1]])


def any_count(tile_rows: int, count: int, a_row: int, blocks: int, bf16: bool = False) -> Tiles:
    """Tiles for a number of rows known at run time, up to `count`: the last tile overlaps the one before it."""
    heights = [even_rows(count, max_rows(tile_rows, blocks))]
    while heights[-1] > 1:
        heights.append(heights[-1] // 2)
    return Tiles(tuple(heights), a_row, blocks, bf16=bf16)


def exact_count(tile_rows: int, count: int, a_row: int, blocks: int, run: int = 0) -> Tiles:
    """Tiles for exactly `count` rows without overlap: one height, and a lower one for the rest."""
    most = max_rows(tile_rows, blocks)
    dividing = [rows for rows in range(most, most * 4 // 5, -1) if count % rows == 0]
    height = dividing[0] if dividing else even_rows(count, most)
    left = count % height
    return Tiles((height, left) if left else (height,), a_row, blocks, run)
