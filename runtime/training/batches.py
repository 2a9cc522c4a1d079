"""Where the mini-batches of an epoch come from: arrays in memory, arrays on the disk, or a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.arrays import require_labels
from dslc.runtime.data.lazy import WINDOW, block_rows, on_disk, row_bytes, windows
from dslc.runtime.data.prefetch import Prefetch
from dslc.runtime.data.scaling import scaled
from dslc.runtime.data.stream import Stream
from dslc.runtime.native.arguments import BYTES
from dslc.runtime.native.conversion import Arrays, Conversion, nbytes, recut, shuffled

Array = np.ndarray[Any, Any]
SHUFFLE_STREAM = 1 << 32
IN_MEMORY = 256 << 20
"""Arrays whose conversion takes more bytes are converted by portions, in every epoch anew."""


class Piece(NamedTuple):
    """Whole mini-batches, but for the last piece of an epoch: the examples at `order` of inputs and targets (n, ...).
    Inputs of bytes are scaled by C."""

    inputs: Arrays
    targets: Arrays
    order: Array


class Batches(Protocol):
    """The training set. `examples` is None where that is not known."""

    @property
    def examples(self) -> int | None:
        """How many examples an epoch has."""

    def epoch(self, number: int) -> AbstractContextManager[Iterable[Piece]]:
        """The pieces of an epoch, counted from 0. Their order depends on seed and epoch only.

        Raises:
            DataError: while they are read: the data do not fit.
        """

    def portions(self) -> Iterable[Arrays]:
        """The inputs as numbers, in the order of the data."""


@dataclass(frozen=True)
class Order:
    """Whether and by which seed the examples are shuffled."""

    seed: int
    shuffle: bool

    def random(self, epoch: int) -> np.random.Generator | None:
        """What an epoch's order is drawn by; None where it is that of the data."""
        if not self.shuffle:
            return None
        return np.random.Generator(np.random.Philox(key=[self.seed, SHUFFLE_STREAM + epoch]))


@dataclass(frozen=True)
class InMemory:
    """Arrays as C takes them, shuffled as a whole."""

    convert: Conversion
    inputs: Arrays
    targets: Arrays
    order: Order

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.inputs[0])

    def epoch(self, number: int) -> AbstractContextManager[Iterable[Piece]]:
        """One piece with all of them."""
        random = self.order.random(number)
        order = np.arange(self.examples) if random is None else random.permutation(self.examples)
        return nullcontext([Piece(self.inputs, self.targets, order)])

    def portions(self) -> Iterable[Arrays]:
        """The inputs as numbers."""
        for at in windows(self.examples, 1, self.convert.portion(), None):
            yield [self._numbers(array[at[0] : at[-1] + 1]) for array in self.inputs]

    def _numbers(self, array: Array) -> Array:
        return scaled(array, self.convert.arguments.dtype) if array.dtype == BYTES else array


@dataclass(frozen=True)
class InPortions:
    """Arrays that are read and converted a window at a time. Those in memory are shuffled as a whole, those on the disk
    by blocks, see `windows`. `x` as it was given; targets as C takes them."""

    convert: Conversion
    x: Any
    targets: Arrays
    order: Order
    batch: int

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.targets[0])

    def epoch(self, number: int) -> AbstractContextManager[Iterable[Piece]]:
        """Windows one after the other, read ahead."""
        return Ahead(recut(self._windows(self.order.random(number)), self.batch), len(self.convert.input_names))

    def portions(self) -> Iterable[Arrays]:
        """The inputs as numbers."""
        return (inputs for inputs, _ in self.convert.in_order(self.x, 1))

    def _windows(self, random: np.random.Generator | None) -> Generator[Arrays]:
        for at in windows(self.examples, *self._sizes(), random):
            yield [*self.convert.converted(self.convert.stored, self.x, at), *(t[at] for t in self.targets)]

    def _sizes(self) -> tuple[int, int]:
        """How many examples a block and a window have."""
        stored = [array for array in self.convert.arrays(self.x) or () if on_disk(array)]
        if not stored:
            return 1, self.convert.portion()
        return max(map(block_rows, stored)), max(1, WINDOW // max(map(row_bytes, stored)))


@dataclass(frozen=True)
class Streamed:
    """The batches of a stream, shuffled as far as it says."""

    convert: Conversion
    stream: Stream
    order: Order
    batch: int

    @property
    def examples(self) -> int | None:
        """How many the stream says that it has."""
        return self.stream.length

    def epoch(self, number: int) -> AbstractContextManager[Iterable[Piece]]:
        """The batches cut to mini-batches, read ahead."""
        random = self.order.random(number)
        blocks = self.convert.batches(self.stream, number, random, keep_bytes=True)
        if random is not None and self.stream.shuffle:
            blocks = shuffled(blocks, self.stream.shuffle, random)
        return Ahead(recut(blocks, self.batch), len(self.convert.input_names))

    def portions(self) -> Iterable[Arrays]:
        """The inputs as numbers."""
        return recut(self.convert.batches(self.stream, labelled=False), self.convert.portion())


class Ahead:
    """The pieces of an epoch, made in a thread of their own while C trains; a context, which ends the thread.

    made: inputs, so many, and targets of whole mini-batches.
    """

    def __init__(self, made: Generator[Arrays], inputs: int) -> None:
        self._prefetch, self._inputs = Prefetch(made, nbytes), inputs

    def __enter__(self) -> Iterable[Piece]:
        at = self._inputs
        return (Piece(p[:at], p[at:], np.arange(len(p[0]))) for p in self._prefetch.__enter__())

    def __exit__(self, *reason: object) -> None:
        self._prefetch.__exit__(*reason)


def batches_of(convert: Conversion, x: Any, y: Any, order: Order, batch: int | None) -> Batches:
    """The training set as a source of mini-batches of `batch` examples, None for all at once.

    x, y: arrays as `fit` takes them, or a stream and None.

    Raises:
        DataError: the data do not fit or have no labels, or are to be in memory as a whole and cannot.
    """
    portions = y is not None and convert.wants_portions(x, IN_MEMORY, keep_bytes=True)
    if batch is None and (y is None or portions):
        raise DataError("`batch all` needs all examples at once: streams and data on the disk want a number")
    if y is None:
        return Streamed(convert, x, order, batch or 1)
    inputs = [] if portions else convert.stored(x)
    targets = convert.targets(y, convert.count(x) if portions else len(inputs[0]))
    require_labels(convert.network, targets)
    if not portions:
        return InMemory(convert, inputs, targets, order)
    found = InPortions(convert, x, targets, order, batch or 1)
    if not any(map(on_disk, convert.arrays(x) or ())):
        for _ in found.portions():
            pass  # what does not fit is told before training
    return found
