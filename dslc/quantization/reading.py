"""Where the bytes under a window lie, and how many windows are multiplied at a time."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.quantization.program import Product
from dslc.quantization.vectors import Vectors
from dslc.shape import Pair


@dataclass(frozen=True)
class Reading:
    """How a product walks over its input, in bytes.

    Under a window there are `runs` (rows, columns) of `run` bytes each, a multiple of what is multiplied together: the
    last may belong to what lies behind, and meet weights of 0. `run_step` is from one run to the next, `step` from a
    window to the one below and to the one on its right. `padded`: rows and columns of a copy of the image with its
    padding, (0, 0) where the image is read where it lies. `width`: sums in a vector. `windows`, `blocks`: the tile."""

    runs: Pair
    run: int
    run_step: Pair
    step: Pair
    padded: Pair
    width: int
    windows: int
    blocks: int

    @property
    def depth(self) -> int:
        """How many products make a sum, those with 0 included."""
        return self.runs[0] * self.runs[1] * self.run

    @property
    def copied_bytes(self) -> int:
        """What the copy of an image takes, without its channels."""
        return self.padded[0] * self.padded[1]

    def reads_past(self, op: Product) -> bool:
        """Whether the last run ends behind the image, where it is read where it lies."""
        return self.padded == (0, 0) and self.depth > op.depth


def reading_of(op: Product, vectors: Vectors, examples: int) -> Reading:
    """How a product, which is not depthwise, is computed with vectors, for at most so many `examples` a call."""
    window, channels = op.window, op.window.image[2]
    each = channels // op.groups
    joined = op.groups == 1 and window.dilation[1] == 1
    runs = (window.size[0], 1 if joined else window.size[1])
    bytes_ = each * window.size[1] if joined else each
    spans = tuple((window.result[a] - 1) * window.stride[a] + window.dilation[a] * (window.size[a] - 1) + 1
                  for a in (0, 1))  # fmt: skip
    overlaps = any(window.before) or any(spans[a] > window.image[a] for a in (0, 1))
    padded = (spans[0], spans[1]) if overlaps else (0, 0)
    row = (spans[1] if overlaps else window.image[1]) * channels
    filters = len(op.weight) // op.groups
    width = vectors.width(filters)
    blocks = min(vectors.blocks, -(-filters // width))
    length = examples * window.result[0] * window.result[1] if is_flat(op) else window.result[1]
    return Reading(
        runs, -(-bytes_ // vectors.together) * vectors.together,
        (window.dilation[0] * row, window.dilation[1] * channels),
        (window.stride[0] * row, window.stride[1] * channels),
        padded, width, tile_windows(length, blocks, vectors), blocks,
    )  # fmt: skip


def is_flat(op: Product) -> bool:
    """Whether all windows of all examples lie in one row, a pixel each."""
    return op.window.is_pixel


def tile_windows(length: int, blocks: int, vectors: Vectors) -> int:
    """How many windows of a row of `length` a tile takes: few loads for a multiplication, and little of the last tile
    that was there before."""
    most = min(length, vectors.windows * (2 if blocks == 1 and vectors.windows < 8 else 1))

    def cost(windows: int) -> tuple[float, int]:
        tiles = -(-length // windows)
        return tiles * (max(windows * blocks, windows + blocks) + 1.0), -windows

    return min(range(1, most + 1), key=cost)
