"""Where the mini-batches of an epoch come from: arrays in memory, arrays on the disk, or a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.arrays import require_labels
from dslc.runtime.data.label_sequences import require_alignments
from dslc.runtime.data.lazy import WINDOW, block_rows, on_disk, row_bytes, spread, windows
from dslc.runtime.data.parts import WHOLE, Part, Share
from dslc.runtime.data.scaling import scaled
from dslc.runtime.data.stream import Stream
from dslc.runtime.native.arguments import BYTES
from dslc.runtime.native.conversion import Arrays, Conversion, recut, shuffled
from dslc.runtime.native.portions import refuse_weights
from dslc.runtime.native.same_data import PIECE_ROWS
from dslc.runtime.training.pieces import Ahead, Piece

Array = np.ndarray[Any, Any]
SHUFFLE_STREAM = 1 << 32
IN_MEMORY = 256 << 20
"""Arrays whose conversion takes more bytes are converted by portions, in every epoch anew."""


class Batches(Protocol):
    """The training set. `examples` is None where that is not known."""

    @property
    def examples(self) -> int | None:
        """How many examples an epoch has, without those that weigh nothing."""

    def epoch(self, number: int, share: Share) -> AbstractContextManager[Iterable[Piece]]:
        """The pieces of an epoch, counted from 0, with at least the examples of a share. Their order depends on seed
        and epoch only.

        Raises:
            DataError: while they are read: the data do not fit.
        """

    def portions(self) -> Iterable[tuple[Arrays, Array | None]]:
        """The inputs as numbers, in the order of the data, and what each example counts."""

    def labels(self) -> tuple[Arrays, Array | None]:
        """The targets of all examples, and what each counts."""

    def looked_at(self, rows: int) -> dict[str, Arrays]:
        """By which to tell whether two training sets are the same: of inputs on the disk so many rows, and nothing of a
        stream, which is compared piece by piece."""


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
    weights: Array | None
    order: Order

    @cached_property
    def counted(self) -> Array:
        """The examples that weigh something."""
        return np.arange(len(self.inputs[0])) if self.weights is None else np.flatnonzero(self.weights)

    @property
    def examples(self) -> int:
        """How many of them there are."""
        return len(self.counted)

    def epoch(self, number: int, share: Share) -> AbstractContextManager[Iterable[Piece]]:
        """One piece with all of them."""
        random = self.order.random(number)
        order = self.counted if random is None else self.counted[random.permutation(self.examples)]
        return nullcontext([Piece(self.inputs, self.targets, self.weights, order)])

    def portions(self) -> Iterable[tuple[Arrays, Array | None]]:
        """The inputs as numbers."""
        for at in windows(len(self.inputs[0]), 1, self.convert.portion(), None):
            rows = slice(at[0], at[-1] + 1)
            numbers = [self._numbers(array[rows]) for array in self.inputs]
            yield numbers, None if self.weights is None else self.weights[rows]

    def labels(self) -> tuple[Arrays, Array | None]:
        """The targets as C takes them."""
        return self.targets, self.weights

    def looked_at(self, rows: int) -> dict[str, Arrays]:
        """All of it, since it is in memory."""
        return {"inputs": self.inputs, "targets": self.targets, "sample weights": _any(self.weights)}

    def _numbers(self, array: Array) -> Array:
        return scaled(array, self.convert.arguments.dtype) if array.dtype == BYTES else array


@dataclass(frozen=True)
class InPortions:
    """Arrays that are read and converted a window at a time, and of them a rank's share. Those in memory are shuffled
    as a whole, those on the disk by blocks, see `windows`. `x` as it was given; targets as C takes them."""

    convert: Conversion
    x: Any
    targets: Arrays
    weights: Array | None
    order: Order

    @property
    def examples(self) -> int:
        """How many there are, without those that weigh nothing."""
        return len(self.targets[0]) if self.weights is None else int(np.count_nonzero(self.weights))

    def epoch(self, number: int, share: Share) -> AbstractContextManager[Iterable[Piece]]:
        """Windows one after the other, read ahead."""
        places = recut(([at] for at in self._windows(self.order.random(number))), share.batch)
        return Ahead(self._piece(at, share) for (at,) in places)

    def portions(self) -> Iterable[tuple[Arrays, Array | None]]:
        """The inputs as numbers."""
        for inputs, first in self.convert.in_order(self.x, 1):
            yield inputs, None if self.weights is None else self.weights[first : first + len(inputs[0])]

    def labels(self) -> tuple[Arrays, Array | None]:
        """The targets as C takes them."""
        return self.targets, self.weights

    def looked_at(self, rows: int) -> dict[str, Arrays]:
        """Some rows of the inputs, converted, and all targets and weights."""
        inputs = self.convert.converted(self.convert.stored, self.x, spread(len(self.targets[0]), rows))
        return {"inputs": inputs, "targets": self.targets, "sample weights": _any(self.weights)}

    def _windows(self, random: np.random.Generator | None) -> Generator[Array]:
        """The places of the examples that weigh something."""
        for at in windows(len(self.targets[0]), *self._sizes(), random):
            counted = at if self.weights is None else at[self.weights[at] > 0]
            if len(counted):
                yield counted

    def _piece(self, at: Array, share: Share) -> Piece:
        """What a share has of the examples at these places."""
        (own, order), some = share.own_of(len(at)), at[spread(len(at), PIECE_ROWS)]
        told = (at, *(array[some] for array in (*self.targets, *_any(self.weights))))
        inputs = self.convert.converted(self.convert.stored, self.x, at[own])
        weights = None if self.weights is None else self.weights[at[own]]
        return Piece(inputs, [array[at[own]] for array in self.targets], weights, order, told)

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

    @property
    def examples(self) -> int | None:
        """How many the stream says that it has."""
        return self.stream.length

    def epoch(self, number: int, share: Share) -> AbstractContextManager[Iterable[Piece]]:
        """The batches cut to mini-batches, read ahead."""
        random = self.order.random(number)
        if self.stream.by_place and not self.stream.shuffle:
            return Ahead(self._by_place(random, share))
        blocks = self.convert.batches(self.stream, number, random, keep_bytes=True)
        if random is not None and self.stream.shuffle:
            blocks = shuffled(blocks, self.stream.shuffle, random)
        return Ahead(self._piece(block, np.arange(len(block[0]))) for block in recut(blocks, share.batch))

    def _by_place(self, random: np.random.Generator | None, share: Share) -> Generator[Piece]:
        """Of each piece the examples of the share, which alone are read."""
        for (at,) in recut(([at] for at in self.stream.places(random)), share.batch):
            own, order = share.own_of(len(at))
            yield self._piece(self.convert.batch(self.stream, self.stream.read(at[own]), keep_bytes=True), order, at)

    def _piece(self, block: Arrays, order: Array, *told: Array) -> Piece:
        inputs = len(self.convert.input_names)
        return Piece(block[:inputs], block[inputs:], None, order, told)

    def portions(self) -> Iterable[tuple[Arrays, Array | None]]:
        """The inputs as numbers."""
        found = recut(self.convert.batches(self.stream, labelled=False), self.convert.portion())
        return ((inputs, None) for inputs in found)

    def labels(self) -> tuple[Arrays, Array | None]:
        """The targets of all batches, which are few numbers beside the inputs."""
        first = len(self.convert.input_names)
        parts = [batch[first:] for batch in self.convert.batches(self.stream)]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)], None

    def looked_at(self, rows: int) -> dict[str, Arrays]:
        """Nothing: an iterator may be read only once."""
        return {}


def _any(weights: Array | None) -> Arrays:
    return [] if weights is None else [weights]


def batches_of(
    convert: Conversion, x: Any, y: Any, sample_weight: Any, order: Order, batch: int | None, part: Part = WHOLE
) -> Batches:
    """The training set as a source of mini-batches of `batch` examples, None for all at once.

    x, y, sample_weight: arrays as `fit` takes them, or a stream and twice None. part: which examples to look through
    where they are converted anew in every epoch.

    Raises:
        DataError: the data do not fit or have no labels, or are to be in memory as a whole and cannot.
    """
    portions = y is not None and convert.wants_portions(x, IN_MEMORY, keep_bytes=True)
    if batch is None and (y is None or portions):
        raise DataError("`batch all` needs all examples at once: streams and data on the disk want a number")
    if y is None:
        refuse_weights(sample_weight)
        return Streamed(convert, x, order)
    inputs = [] if portions else convert.stored(x)
    targets = convert.targets(y, convert.count(x) if portions else len(inputs[0]))
    weights = convert.weights(sample_weight, len(targets[0]))
    require_labels(convert.network, targets, weights)
    if not portions:
        require_alignments(convert.network, inputs, targets)
        return InMemory(convert, inputs, targets, weights, order)
    found = InPortions(convert, x, targets, weights, order)
    if not any(map(on_disk, convert.arrays(x) or ())):
        for _ in convert.in_order(x, 1, part):
            pass  # what does not fit is told before training
    return found
