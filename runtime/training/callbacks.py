"""Callbacks: objects that `fit` tells how training goes, and that may end it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from dslc.language.diagnostics import DataError
from dslc.runtime.training.history import History
from dslc.runtime.training.interrupts import undisturbed
from dslc.runtime.training.trainable import Trainable

Record = dict[str, float]
METHODS = ("on_train_begin", "on_batch", "on_epoch", "on_train_end")


class Callback:
    """Base class of callbacks: a subclass overrides the methods that it needs.

    They are called in the thread of `fit`, while no C runs: they may use the model, save it, or write a checkpoint. If
    one raises, training ends as with Ctrl-C, with the best weights restored and everything kept that a checkpoint
    needs; then the exception passes through `fit`. `on_train_end` is called all the same.
    """

    every_batch = False
    """Whether `on_batch` is called after each mini-batch. C then returns to Python after each, which takes a few
    microseconds; otherwise after every slice of about 0.15 seconds, of as many mini-batches as fit."""

    every_rank = False
    """Whether several ranks that train together all call it, at the same time and in the same order: all have made one.
    Otherwise rank 0 alone calls it."""

    def on_train_begin(self, model: Trainable) -> None:
        """Called before the first epoch, in a resumed training too; Ctrl-C is answered behind it. model: what is
        trained."""

    def on_batch(self, record: Record) -> str | None:
        """Called after a slice of mini-batches; every epoch ends with one.

        record: `epoch` (from 1), `step` (updates so far), `examples` done in this epoch, `loss` (mean over the epoch so
        far, without the penalty), `lr` (of the last update). A word ends training and becomes `History.stopped`:
        at once, as Ctrl-C does, so that the epoch leaves no record; after the last slice of an epoch with its record.
        """

    def on_epoch(self, record: Record) -> str | None:
        """Called after an epoch with its record in the history. A word ends training and becomes `History.stopped`."""

    def on_train_end(self, history: History) -> None:
        """Called when training has ended, however it did, with the weights that are kept in place."""


def several(given: Callback | Iterable[Callback]) -> tuple[Callback, ...]:
    """The callbacks that a caller gives, of whom one may stand alone. Raises DataError if it is nothing of the kind."""
    if isinstance(given, Callback):
        return (given,)
    if not isinstance(given, Iterable):
        raise DataError(f"callbacks is a list of objects derived from dslc.callbacks.Callback, not {given!r}")
    return tuple(given)


class Callbacks:
    """Several callbacks as one. If some return a word, the first counts; all are called.

    Raises:
        DataError: one of them is no Callback, or has a method that would never be called.
    """

    def __init__(self, given: Iterable[Callback]) -> None:
        self.given = tuple(given)
        for callback in self.given:
            _require_callback(callback)
        self.listening = [c for c in self.given if type(c).on_batch is not Callback.on_batch]
        self.begun: list[Callback] = []

    @property
    def every_batch(self) -> bool:
        """Whether one of them is to be called after each mini-batch."""
        return any(callback.every_batch for callback in self.listening)

    def begin(self, model: Trainable) -> None:
        """Calls `on_train_begin`. Ctrl-C is answered between two callbacks: `on_train_end` finds what it needs."""
        for callback in self.given:
            with undisturbed():
                self.begun.append(callback)
                callback.on_train_begin(model)

    def batch(self, record: Record) -> str | None:
        """Calls `on_batch`."""
        return _first([callback.on_batch(record) for callback in self.listening])

    def epoch(self, record: Record) -> str | None:
        """Calls `on_epoch`."""
        return _first([callback.on_epoch(record) for callback in self.given])

    def end(self, history: History) -> None:
        """Calls `on_train_end` of those that have begun, the last one first; of all, even if one raises."""
        with ExitStack() as stack:
            for callback in self.begun:
                stack.callback(callback.on_train_end, history)


def _first(words: Sequence[str | None]) -> str | None:
    return next((word for word in words if word is not None), None)


def _require_callback(callback: object) -> None:
    if not isinstance(callback, Callback):
        raise DataError(f"a callback is an object of a class derived from dslc.callbacks.Callback, not {callback!r}")
    name = type(callback).__name__
    for method in dir(callback):
        if method.startswith("on_") and method not in METHODS:
            raise DataError(f"{name}.{method} would never be called; there are {', '.join(METHODS)}")
