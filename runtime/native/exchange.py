"""The sums over ranks that the C of a training step asks for, as calls of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

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

    A rank that has no example of a mini-batch computes with one of the others' and gives zeros.
    """

    def __init__(self, compiled: Compiled, sums: Sums) -> None:
        self._compiled, self._sums, self._idle = compiled, sums, False
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

    def share(self, earlier: int, examples: int, idle: bool) -> None:
        """Tells C of the next mini-batch: how many examples of it lie before this rank's, and how many there are."""
        self._struct.earlier, self._struct.examples, self._idle = earlier, examples, idle

    def _guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(context: Any, *arguments: Any) -> None:
            try:
                function(*arguments)
            except BaseException as error:
                self._sums.abort(error)

        return call

    def _sum(self, pointer: Any, count: int) -> None:
        self._sums.sum(self._given(pointer, count, np.dtype(np.float64)))

    def _begin(self, pointer: Any, count: int) -> None:
        self._sums.begin(self._given(pointer, count, self._compiled.dtype))

    def _wait(self) -> None:
        self._sums.wait()

    def _given(self, pointer: Any, count: int, dtype: Any) -> Array:
        """The numbers as an array; zeros where this rank has no examples of its own."""
        numbers = np.frombuffer(self._compiled.ffi.buffer(pointer, count * dtype.itemsize), dtype)
        if self._idle:
            numbers[:] = 0
        return numbers
