"""A compiled quantized network: its C, its memory, and calls of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from dslc import cores
from dslc.codegen.build import Library, build
from dslc.cores import Threads, threads_to_use
from dslc.export.network import Trained
from dslc.quantization.c_source import Printed, print_c
from dslc.quantization.memory import place
from dslc.quantization.program import Program
from dslc.runtime.native.compiled import process_pool
from dslc.target import Target

Array = np.ndarray[Any, Any]
MOST, CACHE = 64, 512 << 10
"""Examples that go through the network together, at most, and bytes that their values should fit into."""
NS_A_PRODUCT, LEAST_SHARED_NS = 1 / 64, 20_000
"""About how long a product takes, and from when on threads share a call."""
FLOAT = np.dtype(np.float32)


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
        self._building = threading.Lock()
        self._memories: list[tuple[Array, Any]] = []
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
    def _pool(self) -> Any:
        return self.library.module.ffi.cast("void *", process_pool(self.library))

    @cached_property
    def _predict(self) -> Callable[..., None]:
        found: Callable[..., None] = self.library.function("predict_shared")
        return found

    def takes(self, x: Any) -> bool:
        """Whether x is the only input as it is: an array of finite numbers in float32, without gaps."""
        fits = type(x) is np.ndarray and x.dtype is FLOAT and x.shape[1:] == self._input and x.flags.c_contiguous
        return bool(fits and x.size and self.library.function("all_finite")(self._pointer("float[]", x), x.size))

    def predict(self, inputs: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """The bytes of each head, uint8 (n, *shape), and its numbers, float32 (n, elements), for inputs in float32 in
        the order of the network."""
        count, pointer = len(inputs[0]), self._pointer
        given = [pointer("float[]", np.ascontiguousarray(x, np.float32)) for x in inputs]
        tensors = [self.program.tensor(ending.tensor) for ending in self.program.endings]
        integers = [np.empty((count, *tensor.shape), np.uint8) for tensor in tensors]
        numbers = [np.empty((count, tensor.elements), np.float32) for tensor in tensors]
        work_ns = int(count * self.program.multiply_adds * NS_A_PRODUCT)
        threads = self.threads if work_ns > LEAST_SHARED_NS else 1
        made = [*(pointer("uint8_t[]", q) for q in integers), *(pointer("float[]", y) for y in numbers)]
        try:
            memory = self._memories.pop()
        except IndexError:  # all are in use
            room = np.empty(self.printed.memory_bytes, np.uint8)
            memory = room, pointer("uint8_t[]", room)
        self._predict(*given, count, *made, memory[1], self._pool, threads, work_ns)
        self._memories.append(memory)
        return integers, numbers

    def _pointer(self, kind: str, array: Array) -> Any:
        return self.library.module.ffi.from_buffer(kind, array)
