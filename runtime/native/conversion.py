"""What people give, as the arrays that C takes: whole, by portions, or batch by batch of a stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.ir import Network, Value
from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data.arrays import as_inputs, by_name
from dslc.runtime.data.label_sequences import require_alignments
from dslc.runtime.data.lazy import PORTION, LazyArray, Rows, on_disk, portion_rows, rows_of, windows
from dslc.runtime.data.parts import WHOLE, Part
from dslc.runtime.data.scaling import holds_images
from dslc.runtime.data.schema import Schema
from dslc.runtime.data.stream import Stream
from dslc.runtime.data.stream_batches import pair_of
from dslc.runtime.native.arguments import BYTES, Arguments

Array = np.ndarray[Any, Any]
Arrays = list[Array]
"""Inputs, then targets, each (n, ...): the same examples."""


@dataclass(frozen=True)
class Conversion:
    """How a model understands data."""

    network: Network
    schema: Schema
    arguments: Arguments

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs in their order."""
        return tuple(value.name for value in self.network.inputs)

    @property
    def head_names(self) -> tuple[str, ...]:
        """The names of the heads that predictions have, in their order: batches of a stream name their targets so."""
        return tuple(head.name for head in self.network.answers)

    def inputs(self, x: Any) -> Arrays:
        """The inputs as numbers of the network's precision. Raises DataError if they do not fit or are not finite."""
        return self.arguments.inputs(self.schema.inputs(self.network, x))

    def stored(self, x: Any) -> Arrays:
        """The same for the gather of C, where images of 8 bits stay bytes."""
        given = self.schema.inputs(self.network, x)
        if self.arguments.direct_pointer(given) is not None:
            return [given]
        return as_inputs(self.network, given, self.arguments.dtype, keep_bytes=True)

    def targets(self, y: Any, count: int) -> Arrays:
        """The targets of `count` examples. Raises DataError if they do not fit."""
        return self.arguments.targets(self.schema.targets(self.network, y), count)

    def weights(self, given: Any, count: int) -> Array | None:
        """The sample weights of `count` examples; None where all count alike. Raises DataError if they do not fit."""
        return self.arguments.weights(given, count)

    # ------------------------------------------------------------------------------------------- arrays by portions

    def arrays(self, x: Any) -> list[Any] | None:
        """The inputs in their order if all of them are arrays, of which rows can be taken; else None."""
        try:
            found = by_name(x, list(self.input_names), "input")
        except DataError:
            return None
        taken = (isinstance(a, (np.ndarray, LazyArray)) and not isinstance(a, np.ma.MaskedArray) for a in found)
        return found if all(taken) and all(a.ndim and len(a) for a in found) else None

    def wants_portions(self, x: Any, limit: int = PORTION, keep_bytes: bool = False) -> bool:
        """Whether inputs lie on the disk, or their conversion takes more than `limit` bytes."""
        found = self.arrays(x)
        values = self.network.inputs
        return found is not None and any(
            isinstance(array, LazyArray) or on_disk(array) or self._converted_bytes(value, array, keep_bytes) > limit
            for value, array in zip(values, found, strict=True)
        )

    def _converted_bytes(self, value: Value, array: Any, keep_bytes: bool) -> int:
        """What the conversion of an array takes: nothing where it is already as C wants it."""
        dtype = self.arguments.dtype
        stays = keep_bytes and self.schema.scale and array.dtype == BYTES and holds_images(array, value.shape)
        ready = (stays or array.dtype == dtype) and array.flags.c_contiguous and value.name not in self.schema.offsets
        return 0 if ready else array.size * dtype.itemsize

    def rows(self, x: Any, at: Array) -> Any:
        """Some rows of inputs that are arrays."""
        found = [rows_of(array, at) for array in self.arrays(x) or ()]
        return found[0] if len(found) == 1 else dict(zip(self.input_names, found, strict=True))

    def count(self, x: Any) -> int:
        """How many examples inputs that are arrays have.

        Raises:
            DataError: they have different numbers, or the first does not fit the network.
        """
        self.converted(self.inputs, x, np.arange(1))
        counts = sorted({len(array) for array in self.arrays(x) or ()})
        if len(counts) > 1:
            raise DataError(f"the inputs have different numbers of examples: {', '.join(map(str, counts))}")
        return counts[0]

    def portion(self) -> int:
        """How many examples are converted at a time."""
        return portion_rows(max(value.elements for value in self.network.inputs), self.arguments.dtype.itemsize)

    def in_order(self, x: Any, batch: int, part: Part = WHOLE) -> Generator[tuple[Arrays, int]]:
        """The inputs of a part of the examples by portions of whole mini-batches, with the place of the first
        example."""
        each, rows = -(-self.portion() // batch) * batch, part.rows(self.count(x))
        for at in windows(rows.stop - rows.start, 1, each, None):
            yield self.converted(self.inputs, x, rows.start + at), rows.start + int(at[0])

    def converted(self, convert: Callable[[Any], Arrays], x: Any, at: Array) -> Arrays:
        """Some rows of inputs that are arrays, converted. An error names the example's place in the whole, also where
        the array is a part of a larger one on the disk."""
        try:
            return convert(self.rows(x, at))
        except ExampleError as error:
            place = int(at[error.example])
            part = next((array for array in self.arrays(x) or () if isinstance(array, Rows)), None)
            if part is not None:
                raise error.at(f"example {part.at[place]} (counted from 0)") from None
            raise ExampleError(error.text, place) from None

    # ------------------------------------------------------------------------------------------- streams

    def batches(
        self,
        stream: Stream,
        epoch: int = 0,
        random: np.random.Generator | None = None,
        labelled: bool = True,
        keep_bytes: bool = False,
        part: Part = WHOLE,
    ) -> Generator[Arrays]:
        """Inputs and, if `labelled`, targets of each batch of an epoch; of a part only its own are converted.

        Raises:
            DataError: a batch does not fit; it names the batch.
        """
        numbered = enumerate(stream.open(epoch, random), 1) if part == WHOLE else stream.part(part)
        kinds: list[Any] = []
        for number, batch in numbered:
            try:
                arrays = self.batch(stream, batch, labelled, keep_bytes)
                found = [array.dtype for array in arrays[: len(self.input_names)]]
                kinds = kinds or found
                if found != kinds:
                    raise DataError("images of 8 bits and other numbers alternate: give one of them")
            except DataError as error:
                raise DataError(f"batch {number} of the stream: {error}") from None
            yield arrays

    def batch(self, stream: Stream, batch: Any, labelled: bool = True, keep_bytes: bool = False) -> Arrays:
        """Inputs and, if `labelled`, targets of a batch of a stream. Raises DataError if it does not fit."""
        x, y = pair_of(batch, stream, self.input_names, self.head_names)
        inputs = self.stored(x) if keep_bytes else self.inputs(x)
        targets = self._targets(y, len(inputs[0])) if labelled else []
        require_alignments(self.network, inputs, targets)
        return [np.array(array) for array in (*inputs, *targets)]  # the source may fill its arrays anew

    def _targets(self, y: Any, count: int) -> Arrays:
        if y is None:
            raise DataError("it has no y")
        return self.targets(y, count)


def recut(blocks: Iterable[Arrays], batch: int) -> Generator[Arrays]:
    """The same examples in pieces of whole mini-batches, but for the last."""
    waiting: list[Arrays] = []
    held = 0
    for block in blocks:
        count = len(block[0])
        begin = batch - held if held else 0
        if held + count < batch:
            waiting.append(block)
            held += count
            continue
        if held:
            yield _joined([*waiting, [array[:begin] for array in block]])
        whole = begin + (count - begin) // batch * batch
        if whole > begin:
            yield [array[begin:whole] for array in block]
        held = count - whole
        waiting = [[array[whole:].copy() for array in block]] if held else []
    if held:
        yield _joined(waiting)


def shuffled(blocks: Iterable[Arrays], window: int, random: np.random.Generator) -> Generator[Arrays]:
    """The examples of `window` after each other in random order, then those of the next."""
    for piece in recut(blocks, window):
        for first in range(0, len(piece[0]), window):
            part = [array[first : first + window] for array in piece]
            at = random.permutation(len(part[0]))
            yield [array[at] for array in part]


def _joined(blocks: list[Arrays]) -> Arrays:
    if len(blocks) == 1:
        return blocks[0]
    return [np.concatenate(arrays) for arrays in zip(*blocks, strict=True)]


def nbytes(arrays: Arrays) -> int:
    """The size of arrays together."""
    return sum(array.nbytes for array in arrays)
