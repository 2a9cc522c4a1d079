"""`dslc.Stream`: data that come in batches, an epoch after the other, and are never in memory as a whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.frames import is_frame
from dslc.runtime.data.lazy import windows
from dslc.runtime.data.parts import WHOLE, Part

Array = np.ndarray[Any, Any]
ROWS, BLOCK_ROWS = 1024, 64
"""Rows of a data set with columns that are read together, and how many of them are neighbours when it is shuffled."""


class Stream:
    """Batches (x, y) for training and evaluation, of any sizes; `fit` cuts them to the network's mini-batches.

    source: an iterable that starts again whenever it is iterated over (a list, a DataLoader, an object with
    `__iter__`), or a function that returns an iterator, called with the number of the epoch, counted from 0, if it
    takes an argument. Instead of it a subclass defines `batches`. length: the number of examples in an epoch, if it is
    known. shuffle: the mini-batches of an epoch are drawn from windows of so many consecutive examples, in an order
    that depends on the network's seed and the epoch; two examples can meet if they fall into one window. With 0 they
    come as the source gives them. x, y: the columns of batches that are dicts: a name, or a dict from the names of
    inputs or heads.

    A batch is a pair (x, y), each an array, or a dict or tuple of arrays where there are several inputs or heads; a
    dict of columns; or, for `predict`, x alone. Tensors of PyTorch become arrays. The source runs in a thread of its
    own, ahead of the training.
    """

    def __init__(
        self,
        source: Iterable[Any] | Callable[..., Iterable[Any]] | None = None,
        *,
        length: int | None = None,
        shuffle: int = 0,
        x: str | Mapping[str, str] | None = None,
        y: str | Mapping[str, str] | None = None,
    ) -> None:
        if shuffle < 0:
            raise ValueError(f"shuffle is a number of examples, not {shuffle}")
        self.source, self.length, self.shuffle, self.x, self.y = source, length, shuffle, x, y
        self._begun: Generator[Any] | None = None
        self._used_up = False

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of an epoch, counted from 0; for subclasses to define.

        Raises:
            DataError: the source is an iterator that an earlier epoch has used up.
        """
        source = self.source
        if source is None:
            raise TypeError(f"{type(self).__name__} must define batches(epoch)")
        if callable(source) and not hasattr(source, "__iter__"):
            return source(epoch) if _takes_an_argument(source) else source()
        if isinstance(source, Iterator):
            if self._used_up:
                raise DataError(
                    "this iterator was used up by the pass before: give something that can start again, as in "
                    "dslc.Stream(function) with a function that returns a new one"
                )
            self._used_up = True
        return source  # type: ignore[return-value]

    @property
    def by_place(self) -> bool:
        """Whether `rows` reads any examples, and their number is known."""
        return False

    def rows(self, at: Array) -> Any:
        """The examples at these places as a batch, where they can be read `by_place`."""
        raise NotImplementedError

    def places(self, random: np.random.Generator | None) -> Iterator[Array]:
        """The places of all examples `by_place` in the order of an epoch, some at a time."""
        raise NotImplementedError

    def drawn(self, epoch: int, random: np.random.Generator | None) -> Iterable[Any]:
        """The batches of an epoch, in the order that the random generator draws if the source can do so."""
        return self.batches(epoch)

    def open(self, epoch: int, random: np.random.Generator | None = None) -> Generator[Any]:
        """Iterates over the batches of an epoch.

        Raises:
            DataError: the source fails, or yields nothing.
        """
        begun, self._begun = self._begun, None
        return self._batches(self.drawn(epoch, random)) if begun is None else begun

    def part(self, part: Part) -> Generator[tuple[int, Any]]:
        """The batches of a part with their numbers, counted from 1. What can be read by place is read only there."""
        if part == WHOLE or not self.by_place:
            return ((number, batch) for number, batch in enumerate(self.open(0), 1) if part.has(number - 1))
        own = ((number, at) for number, at in enumerate(self.places(None)) if part.has(number))
        return ((number + 1, self.read(at)) for number, at in own)

    def read(self, at: Array) -> Any:
        """The examples at these places. Raises DataError where the source fails."""
        try:
            return self.rows(at)
        except Exception as error:
            raise DataError(f"the stream failed at example {at[0]}: {type(error).__name__}: {error}") from error

    def first(self) -> Any:
        """A first batch to look at. It comes again, also from an iterator that cannot start again."""
        batches = self.open(0)
        batch = next(batches)
        if isinstance(self.source, Iterator):
            self._begun = _again(batch, batches)
        else:
            batches.close()
        return batch

    def _batches(self, drawn: Iterable[Any]) -> Generator[Any]:
        number = 1
        try:
            for batch in drawn:
                yield batch
                number += 1
        except DataError:
            raise
        except Exception as error:  # whatever the source raises is told with its place
            raise DataError(
                f"the stream failed at batch {number} of an epoch: {type(error).__name__}: {error}"
            ) from error
        if number == 1:
            raise DataError("the stream yields nothing: an epoch needs at least one batch")


def _again(first: Any, others: Iterator[Any]) -> Generator[Any]:
    yield first
    yield from others


def _takes_an_argument(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in needed and p.default is p.empty for p in parameters)


# ------------------------------------------------------------------------------------------------ what people have


def is_stream(given: Any) -> bool:
    """Whether it is certainly no array: a stream, an iterator, a DataLoader, a data set with columns."""
    return isinstance(given, (Stream, Iterator)) or _is_loader(given) or has_columns(given)


def _is_loader(given: Any) -> bool:
    named = all(hasattr(given, name) for name in ("__iter__", "dataset", "batch_size"))
    return named and not is_frame(given)


def has_columns(given: Any) -> bool:
    """Whether it is a data set as Hugging Face's `datasets` has them: rows by index, columns by name."""
    return hasattr(given, "column_names") and hasattr(given, "with_format")


def as_stream(given: Any) -> Stream:
    """What people give instead of arrays, as a stream.

    Raises:
        DataError: it is an array, or nothing to iterate over.
    """
    source = given.source if type(given) is Stream else given
    if has_columns(source):
        rows = Columns(source)
        return rows if source is given else rows.described(given)
    if isinstance(given, Stream):
        return given
    if _is_loader(given):
        return Stream(given, length=len(given.dataset) if hasattr(given.dataset, "__len__") else None)
    array = hasattr(given, "__array__") or is_frame(given) or isinstance(given, (str, bytes, Mapping))
    if array or not (isinstance(given, Iterable) or callable(given)):
        raise DataError(
            f"y is missing: give x and y, or a stream of batches (x, y) alone; this is {type(given).__name__}"
        )
    return Stream(given)


class Columns(Stream):
    """A data set of Hugging Face's `datasets`, in its NumPy format. One with rows by index is shuffled: mini-batches
    are drawn from ROWS examples, which are blocks of BLOCK_ROWS neighbours in random order."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset, length=len(dataset) if hasattr(dataset, "__len__") else None)

    def described(self, given: Stream) -> Columns:
        """With what a stream around the data set says of it."""
        self.x, self.y, self.shuffle = given.x, given.y, given.shuffle
        return self

    @property
    def by_place(self) -> bool:
        """Unless it is a stream itself."""
        return self.length is not None

    @cached_property
    def _numpy(self) -> Any:
        source: Any = self.source
        return source.with_format("numpy")

    def rows(self, at: Array) -> Any:
        """A dict of columns."""
        return self._numpy[at.tolist()]

    def places(self, random: np.random.Generator | None) -> Iterator[Array]:
        """Blocks of neighbours together."""
        return windows(self.length or 0, BLOCK_ROWS, ROWS, random)

    def batches(self, epoch: int) -> Iterable[Any]:
        """Rows together in their order, as dicts of columns."""
        return self.drawn(epoch, None)

    def drawn(self, epoch: int, random: np.random.Generator | None) -> Iterable[Any]:
        """Rows together, as dicts of columns."""
        return map(self.rows, self.places(random)) if self.by_place else self._numpy.iter(ROWS)
