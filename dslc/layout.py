"""How an array is stored in memory, apart from the shape that the language gives it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.numerics import Array, np


@dataclass(frozen=True)
class Layout:
    """A dense array; with `width` > 0 one axis is cut into blocks of that width, padded with zeros. The blocks come
    first, then the other axes in order, then the elements of a block: (units, inputs) blocked along axis 0 is stored as
    [units / width][inputs][width].

    With `examples` > 1 a batched tensor stores that many examples interleaved, one in each lane of a vector: a
    mini-batch of images (h, w, c) as [n / examples][h][w][c][examples].
    """

    shape: tuple[int, ...]
    axis: int = 0
    width: int = 0
    examples: int = 1

    @property
    def blocks(self) -> int:
        """How many blocks the axis is cut into; the last may be padded."""
        return -(-self.shape[self.axis] // self.width)

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape in memory."""
        if not self.width:
            return self.shape
        others = tuple(n for i, n in enumerate(self.shape) if i != self.axis)
        return (self.blocks, *others, self.width)

    @property
    def elements(self) -> int:
        """Stored numbers, padding included: of the whole, or of one example."""
        return prod(self.stored)

    def total(self, batch: int) -> int:
        """Stored numbers of a mini-batch of n examples; lanes without an example count too."""
        return self.elements * (-(-batch // self.examples) * self.examples)

    def pack(self, array: Array) -> Array:
        """The array (of `shape`) as it is stored, flat."""
        if not self.width:
            return array.reshape(-1)
        missing = self.blocks * self.width - self.shape[self.axis]
        padded = np.pad(array, [(0, missing if i == self.axis else 0) for i in range(array.ndim)])
        cut = padded.reshape(*self.shape[: self.axis], self.blocks, self.width, *self.shape[self.axis + 1 :])
        return np.moveaxis(np.moveaxis(cut, self.axis + 1, -1), self.axis, 0).reshape(-1)

    def unpack(self, memory: Array) -> Array:
        """The stored numbers as an array of `shape`: a copy if it is blocked, else a view."""
        if not self.width:
            return memory.reshape(self.shape)
        cut = np.moveaxis(np.moveaxis(memory.reshape(self.stored), 0, self.axis), -1, self.axis + 1)
        whole = cut.reshape(*self.shape[: self.axis], self.blocks * self.width, *self.shape[self.axis + 1 :])
        return whole[tuple(slice(0, n) for n in self.shape)]

    def describe(self) -> str:
        """The stored shape, such as `4x784x8`."""
        return "x".join(str(n) for n in self.stored)
