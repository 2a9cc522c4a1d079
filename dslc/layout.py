"""How an array is stored in memory, apart from the shape that the language gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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

    def store(self, memory: Array, array: Array) -> None:
        """Writes an array (of `shape`, of any type) into the memory where it is stored; padding becomes zero. Without a
        copy on the way: parameters may be large."""
        if not self.width:
            memory.reshape(self.shape)[...] = array
            return
        whole, left = divmod(self.shape[self.axis], self.width)
        blocks = self._in_blocks(memory)
        blocks[self._at(slice(whole))] = self._whole_blocks(array)
        if left:
            blocks[self._at(whole, slice(left))] = array[self._at(slice(whole * self.width, None))]
            blocks[self._at(whole, slice(left, None))] = 0

    def pack(self, array: Array) -> Array:
        """The array (of `shape`) as it is stored, flat."""
        memory = np.empty(self.elements, array.dtype)
        self.store(memory, array)
        return memory

    def unpack(self, memory: Array) -> Array:
        """A copy of the stored numbers, as an array of `shape`."""
        array = np.empty(self.shape, memory.dtype)
        if not self.width:
            array[...] = memory.reshape(self.shape)
            return array
        whole, left = divmod(self.shape[self.axis], self.width)
        blocks = self._in_blocks(memory)
        self._whole_blocks(array)[...] = blocks[self._at(slice(whole))]
        if left:
            array[self._at(slice(whole * self.width, None))] = blocks[self._at(whole, slice(left))]
        return array

    def pieces(self, memory: Array, elements: int) -> Iterator[Array]:
        """The same in pieces along the first axis, of about so many numbers each, where these lie together."""
        if not self.elements or not self.shape or (self.width and self.axis):
            yield self.unpack(memory)
            return
        unit = self.width or 1
        stored = self.elements // self.stored[0]  # numbers of a block, or of a row
        each = max(1, elements // stored)
        for first in range(0, self.stored[0], each):
            rows = slice(first * unit, min((first + each) * unit, self.shape[0]))
            part = replace(self, shape=(rows.stop - rows.start, *self.shape[1:]))
            yield part.unpack(memory[first * stored : first * stored + part.elements])

    def _at(self, *index: int | slice) -> tuple[int | slice, ...]:
        """An index into the blocked axis, and behind it, with all of the axes before."""
        return (*[slice(None)] * self.axis, *index)

    def _in_blocks(self, memory: Array) -> Array:
        """The memory with its axes as in `shape`, the blocked one as two: the block, and the place in it."""
        return np.moveaxis(np.moveaxis(memory.reshape(self.stored), 0, self.axis), -1, self.axis + 1)

    def _whole_blocks(self, array: Array) -> Array:
        """A view of those parts of an array that fill blocks."""
        whole = self.shape[self.axis] // self.width
        cut = array[self._at(slice(whole * self.width))]
        return cut.reshape(*self.shape[: self.axis], whole, self.width, *self.shape[self.axis + 1 :])

    def describe(self) -> str:
        """The stored shape, such as `4x784x8`."""
        return "x".join(str(n) for n in self.stored)
