"""`dslc.Stream`: data that come in batches, an epoch after the other, and are never in memory as a whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.frames import is_frame
from dslc.runtime.data.lazy import windows

Array = np.ndarray[Any, Any]
LABELS = ("label", "labels", "target", "targets", "y")
"""Columns that are the target where a batch has columns and nothing else is said."""
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

    def drawn(self, epoch: int, random: np.random.Generator | None) -> Iterable[Any]:
        """The batches of an epoch, in the order that the random generator draws if the source can do so."""
        return self.batches(epoch)

    def open(self, epoch: int, random: np.random.Generator | None = None) -> Generator[Any]:
        """Iterates over the batches of an epoch.

        Raises:
            DataError: the source fails, or yields nothing.
        """
        begun, self._begun = self._begun, None
        return self._batches(epoch, random) if begun is None else begun

    def first(self) -> Any:
        """A first batch to look at. It comes again, also from an iterator that cannot start again."""
        batches = self.open(0)
        batch = next(batches)
        if isinstance(self.source, Iterator):
            self._begun = _again(batch, batches)
        else:
            batches.close()
        return batch

    def _batches(self, epoch: int, random: np.random.Generator | None) -> Generator[Any]:
        number = 1
        try:
            for batch in self.drawn(epoch, random):
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

    def batches(self, epoch: int) -> Iterable[Any]:
        """Rows together in their order, as dicts of columns."""
        return self.drawn(epoch, None)

    def drawn(self, epoch: int, random: np.random.Generator | None) -> Iterable[Any]:
        """Rows together, as dicts of columns."""
        source: Any = self.source
        rows = source.with_format("numpy")
        if self.length is None:
            yield from rows.iter(ROWS)
        else:
            for at in windows(self.length, BLOCK_ROWS, ROWS, random):
                yield rows[at.tolist()]


# ------------------------------------------------------------------------------------------------ what a batch is


def pair_of(batch: Any, stream: Stream, inputs: tuple[str, ...], heads: tuple[str, ...]) -> tuple[Any, Any]:
    """x and y of a batch; y is None where it has x alone.

    Raises:
        DataError: columns are missing, or it is not clear which are meant.
    """
    if isinstance(batch, Mapping):
        return _columns(batch, stream.x, inputs, "x"), _columns(batch, stream.y, heads, "y", optional=True)
    if isinstance(batch, (tuple, list)):
        if len(batch) != 2:
            raise DataError(f"a batch is a pair (x, y); this one is a {type(batch).__name__} of {len(batch)}")
        return tuple(map(plain, batch))
    return plain(batch), None


def _columns(batch: Mapping[str, Any], said: Any, names: tuple[str, ...], what: str, optional: bool = False) -> Any:
    if isinstance(said, str):
        said = {names[0]: said}
    wanted = said or {name: name for name in names}
    usual = [name for name in LABELS if name in batch]
    if said is None and optional and len(names) == 1 and names[0] not in batch and len(usual) == 1:
        wanted = {names[0]: usual[0]}
    missing = [column for column in wanted.values() if column not in batch]
    if optional and said is None and missing:
        return None
    if missing:
        raise DataError(
            f"a batch has the columns {', '.join(batch)}, and no {', '.join(missing)}: say which is meant, as in "
            f"dslc.Stream(data, {what}=...)"
        )
    found = {name: plain(batch[column]) for name, column in wanted.items()}
    return found if len(names) > 1 else found[names[0]]


def plain(given: Any) -> Any:
    """Arrays in place of tensors, also inside of dicts and tuples."""
    if isinstance(given, Mapping):
        return {name: plain(part) for name, part in given.items()}
    if isinstance(given, (tuple, list)) and any(hasattr(part, "detach") for part in given):
        return tuple(map(plain, given))
    return given.detach().cpu().numpy() if hasattr(given, "detach") else given
