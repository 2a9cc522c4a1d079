"""A compiled quantized network: its C, its memory, and calls of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from dslc import cores
from dslc.codegen.build import Library, build
from dslc.cores import Threads, threads_to_use
from dslc.export.network import Trained
from dslc.quantization.c_source import Printed, print_c
from dslc.quantization.memory import place
from dslc.quantization.program import Program
from dslc.runtime.native.compiled import process_pool
from dslc.runtime.native.locks import Lock
from dslc.target import Target

Array = np.ndarray[Any, Any]
MOST, CACHE = 64, 512 << 10
"""Examples that go through the network together, at most, and bytes that their values should fit into."""
NS_A_PRODUCT, LEAST_SHARED_NS = 1 / 64, 20_000
"""About how long a product takes, and from when on threads share a call."""
FLOAT = np.dtype(np.float32)


class _Calls(NamedTuple):
    """What a call needs: the function of C, what makes pointers of arrays, the threads, and NULL."""

    predict: Callable[..., int]
    floats: Callable[[Array], Any]
    bytes: Callable[[Array], Any]
    pool: Any
    null: Any


class CompiledIntegers:
    """The C of a quantized network, compiled when it is first needed. Several Python threads may call it: each call has
    memory of its own.

    Raises:
        UsageError: there is no C compiler.
    """

    def __init__(self, program: Program, trained: Trained, target: Target, threads: Threads) -> None:
        wanted = threads_to_use(threads)
        self.program, self.target = program, target
        self.trained = replace(trained, offsets={})  # the inputs come without them
        self.threads = cores.available_cores() if wanted == "auto" else wanted
        self._building = Lock()
        self._memories: list[Any] = []
        self._work_ns = program.multiply_adds * NS_A_PRODUCT
        self._elements = program.tensor(program.endings[0].tensor).elements
        inputs = trained.network.inputs
        self._input = inputs[0].shape if len(inputs) == 1 and not trained.network.whole_numbers else None

    @cached_property
    def printed(self) -> Printed:
        """The C."""
        each = place(self.program, 1, 1).bytes
        return print_c(self.program, self.trained, self.target, min(MOST, max(1, CACHE // each)), self.threads)

    @cached_property
    def library(self) -> Library:
        """The native module."""
        with self._building:
            return build(self.printed.source, self.target)

    @cached_property
    def _calls(self) -> _Calls:
        library = self.library
        ffi = library.module.ffi
        return _Calls(
            library.function("predict_shared"),
            partial(ffi.from_buffer, ffi.typeof("float[]")), partial(ffi.from_buffer, ffi.typeof("uint8_t[]")),
            ffi.cast("void *", process_pool(library)), ffi.NULL,
        )  # fmt: skip

    def predict_array(self, x: Any) -> Array | None:
        """The numbers (n, elements) of the only head for the only input x; None where x is not as C takes it, an array
        of finite numbers in float32 without gaps."""
        if not (type(x) is np.ndarray and x.dtype is FLOAT and x.shape[1:] == self._input and x.flags.c_contiguous):
            return None
        if not x.size:
            return None
        calls, count = self._calls, len(x)
        numbers = np.empty((count, self._elements), FLOAT)
        finite = self._run([calls.floats(x)], count, [calls.null, calls.floats(numbers)])
        return numbers if finite else None

    def predict(self, inputs: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """The bytes of each head, uint8 (n, *shape), and its numbers, float32 (n, elements), for inputs in float32 in
        the order of the network."""
        calls, count = self._calls, len(inputs[0])
        given = [calls.floats(np.ascontiguousarray(x, FLOAT)) for x in inputs]
        tensors = [self.program.tensor(ending.tensor) for ending in self.program.endings]
        integers = [np.empty((count, *tensor.shape), np.uint8) for tensor in tensors]
        numbers = [np.empty((count, tensor.elements), FLOAT) for tensor in tensors]
        self._run(given, count, [*map(calls.bytes, integers), *map(calls.floats, numbers)])
        return integers, numbers

    def _run(self, given: list[Any], count: int, made: list[Any]) -> int:
        """A call of the C, in memory that no other one works in meanwhile: whether the inputs were finite."""
        calls, work_ns = self._calls, int(count * self._work_ns)
        threads = self.threads if work_ns > LEAST_SHARED_NS else 1
        try:
            memory = self._memories.pop()
        except IndexError:  # all are in use
            memory = calls.bytes(np.empty(self.printed.memory_bytes, np.uint8))
        finite: int = calls.predict(*given, count, *made, memory, calls.pool, threads, work_ns)
        self._memories.append(memory)
        return finite
