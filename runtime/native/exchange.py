"""The sums over ranks that the C of a training step asks for, as calls of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from dslc.runtime.data.parts import Share
from dslc.runtime.native.compiled import Compiled

Array = np.ndarray[Any, Any]


class Sums(Protocol):
    """What adds up arrays over all ranks, in place."""

    def sum(self, numbers: Array) -> None:
        """At once."""

    def begin(self, numbers: Array) -> None:
        """Some time before `wait` returns. Nobody touches the numbers before."""

    def wait(self) -> None:
        """Until all sums that have begun are there."""

    def abort(self, error: BaseException) -> None:
        """Ends all ranks: C cannot be told of an exception, and the others would wait for ever."""


class Exchange:
    """The struct `rank_sums` of a compiled network, with `sums` behind its functions.

    A rank that has no example of a mini-batch, or of a slice, computes with one of the others' and gives zeros.
    """

    def __init__(self, compiled: Compiled, sums: Sums) -> None:
        self._compiled, self._sums = compiled, sums
        self._sliced = compiled.memory.step_batch > compiled.memory.batch
        ffi, real = compiled.ffi, "float" if compiled.memory.itemsize == 4 else "double"
        self._functions = (
            ffi.callback("void(void *, double *, int64_t)", self._guarded(self._sum)),
            ffi.callback(f"void(void *, {real} *, int64_t)", self._guarded(self._begin)),
            ffi.callback("void(void *)", self._guarded(self._wait)),
        )
        self._struct = ffi.new("rank_sums *")
        self._struct.sum, self._struct.begin, self._struct.wait = self._functions
        compiled.net.ranks = self._struct

    def serves(self, compiled: Compiled) -> bool:
        """Whether this is the struct of the network as it is compiled now."""
        return bool(compiled.net.ranks == self._struct)

    def share(self, share: Share, examples: int) -> None:
        """Tells C of the next mini-batch, of so many examples on all ranks, and which of them are this rank's."""
        low, high = share.bounds(examples)
        rows, struct = share.part.rows(share.block), self._struct
        struct.mini_batch, struct.slice, struct.low, struct.high = examples, share.block, rows.start, rows.stop
        struct.earlier, struct.examples, struct.idle = low, examples, low == high

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(context: Any, *arguments: Any) -> None:
            try:
                function(*arguments)
            except BaseException as error:
                self._sums.abort(error)

        return call

    def _sum(self, pointer: Any, count: int) -> None:
        self._sums.sum(self._given(pointer, count, np.dtype(np.float64), self._struct.idle))

    def _begin(self, pointer: Any, count: int) -> None:
        idle = self._struct.idle and not self._sliced  # else these are the gradients of all slices
        self._sums.begin(self._given(pointer, count, self._compiled.dtype, idle))

    def _wait(self) -> None:
        self._sums.wait()

    def _given(self, pointer: Any, count: int, dtype: Any, idle: bool) -> Array:
        """The numbers as an array; zeros where this rank has no examples of its own."""
        numbers = np.frombuffer(self._compiled.ffi.buffer(pointer, count * dtype.itemsize), dtype)
        if idle:
            numbers[:] = 0
        return numbers
