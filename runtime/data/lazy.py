"""Arrays whose rows are read when they are needed: what is larger than memory, or is to be decoded first."""

from __future__ import annotations

import math
import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ON_DISK = 256 << 20
"""A memory map of more bytes is read in windows; a smaller one is shuffled as arrays in memory are."""
NO_COPY = 16 << 20
"""Rows of an array of more bytes are not copied when it is split."""
BLOCK, WINDOW = 1 << 20, 64 << 20
"""Bytes of neighbouring examples that are read together, and of the blocks among which an epoch shuffles."""
PORTION, MOST_ROWS = 2 << 20, 4096
"""Bytes of numbers, and examples, that are converted at a time."""


class LazyArray(ABC):
    """An array of shape (n, ...) that is not in memory. It is indexed along its first axis as NumPy's are, and
    `np.asarray` reads all of it. `block`: how many neighbouring rows are best read together."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def rows(self, at: Array) -> Array:
        """The rows at these places, in this order.

        Raises:
            DataError: a row cannot be read; it names the file.
        """

    @property
    def nbytes(self) -> int:
        """The size of all rows in bytes."""
        return len(self) * row_bytes(self)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def block(self) -> int:
        """How many rows make BLOCK bytes."""
        return max(1, BLOCK // row_bytes(self))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, (int, np.integer)):
            found: Array = self.rows(np.arange(len(self))[key : key + 1 or None])[0]
            return found
        return self.rows(np.arange(len(self))[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)


class Rows(LazyArray):
    """Some rows of a large array, of which they are no copy: in memory, a memory map, or another lazy array."""

    def __init__(self, base: Any, at: Array) -> None:
        self.base, self.at = base, at
        self.shape, self.dtype = (len(at), *base.shape[1:]), base.dtype

    @property
    def block(self) -> int:
        """That of the array they are from."""
        return block_rows(self.base)

    def rows(self, at: Array) -> Array:
        """Those rows of the array."""
        return rows_of(self.base, self.at[at])


def row_bytes(array: Any) -> int:
    """The size of a row of an array in bytes."""
    size: int = math.prod(array.shape[1:]) * array.dtype.itemsize
    return max(1, size)


def block_rows(array: Any) -> int:
    """How many neighbouring rows of an array on the disk are read together."""
    return array.block if isinstance(array, LazyArray) else max(1, BLOCK // row_bytes(array))


def on_disk(array: Any) -> bool:
    """Whether an array is too large to be taken into memory: lazy, or a large memory map, or rows of one."""
    if isinstance(array, Rows):
        return on_disk(array.base)
    return isinstance(array, LazyArray) or (isinstance(array, np.memmap) and array.nbytes > ON_DISK)


def taken(array: Any, at: Array) -> Any:
    """Some rows of an array, which stay where they are if they are on the disk or many; or of a frame."""
    many = isinstance(array, np.ndarray) and array.nbytes > NO_COPY
    return Rows(array, at) if many or on_disk(array) else array[at]


def rows_of(array: Any, at: Array) -> Array:
    """The rows of an array at these places. The pages of a large memory map are given back: what was read once is
    needed again an epoch later."""
    if isinstance(array, LazyArray):
        return array.rows(at)
    if not on_disk(array):
        found: Array = array[at]
        return found
    order = np.argsort(at, kind="stable")
    read: Array = np.asarray(array[at[order]])
    _give_back(array)
    return read if (at[:-1] <= at[1:]).all() else read[np.argsort(order)]


def _give_back(array: np.memmap[Any, Any]) -> None:
    base: Any = array if array.mode != "c" else None  # what was written to a copy lies in its pages alone
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def portion_rows(elements: int, itemsize: int = 4) -> int:
    """How many examples of so many numbers are converted at a time."""
    return max(1, min(MOST_ROWS, PORTION // max(1, elements * itemsize)))


def portions_of(array: Any) -> Iterator[Array]:
    """An array in its order, so many rows at a time."""
    each = portion_rows(int(np.prod(array.shape[1:])))
    for first in range(0, len(array), each):
        yield (
            rows_of(array, np.arange(first, min(first + each, len(array))))
            if on_disk(array)
            else (array[first : first + each])
        )


def spread(count: int, rows: int) -> Array:
    """The places of some of so many rows, at equal distances from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, rows)).astype(np.int64))


def windows(count: int, block: int, most: int, random: np.random.Generator | None) -> Iterator[Array]:
    """The places of `count` examples in the order of an epoch, up to about `most` at a time.

    Shuffled, the blocks of `block` neighbours come in random order, and the examples of a window in random order among
    each other: two examples can meet in a mini-batch if their blocks fall into one window, which for any two of them
    happens in some epoch. With blocks of one example it is a shuffle of the whole.
    """
    each = max(1, most // block)
    numbers = np.arange(-(-count // block))
    if random is not None:
        numbers = random.permutation(numbers)
    for first in range(0, len(numbers), each):
        chosen = numbers[first : first + each]
        at = (chosen[:, None] * block + np.arange(block)).reshape(-1)
        at = at[at < count]
        yield random.permutation(at) if random is not None and block > 1 else at
