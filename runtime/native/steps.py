"""Calls of the C functions for training: on one mini-batch, or on as many as fit into a time slice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.runtime.native.arguments import BYTES
from dslc.runtime.native.compiled import Compiled

Array = np.ndarray[Any, Any]


def on_batch(
    compiled: Compiled, function: Literal["loss", "gradients", "train_step"], pointers: list[Any], count: int
) -> float:
    """Calls a C function on a mini-batch of `count` examples and returns the loss. Raises DataError if the mini-batch
    is larger than the network was compiled for."""
    capacity = compiled.memory.step_batch
    if count > capacity:
        raise DataError(f"this mini-batch has {count} examples; the network was compiled for at most {capacity}")
    if function == "train_step":
        compiled.writing()
    compiled.functions[function](compiled.net, *pointers, count, compiled.loss)
    loss: float = compiled.loss[0]
    return loss


def new_sums(network: Network) -> Array:
    """Zeros, for `train_batches` to add up what the losses of an epoch consist of: for each head the sum over its
    labels and their number, then the penalty of every example."""
    return np.zeros(2 * len(network.heads) + 1)


def train_batches(
    compiled: Compiled,
    inputs: list[Array],
    targets: list[Array],
    weights: Array | None,
    order: Array,
    done: int,
    sums: Array,
    rates: Array,
    seconds: float,
    batch: int,
) -> tuple[bool, int]:
    """Trains on mini-batches of `batch` examples from position `done` of `order` on, each with the next learning rate
    of `rates`, for about `seconds`. An input of bytes is divided by 255. weights: what each example counts, None where
    all count alike. Returns whether the loss stayed finite, and the new position. Adds to `sums`, see `new_sums`."""
    compiled.writing()
    assert batch <= compiled.memory.step_batch, "more examples than there is room for"
    compiled.net.batch = batch
    ffi = compiled.ffi
    position = ffi.new("int64_t *", done)
    at = compiled.arguments.pointers([order.astype(np.int64)])[0]
    failed = compiled.functions["train_batches"](
        compiled.net,
        *_data(compiled, inputs, targets, weights),
        at,
        len(order),
        position,
        ffi.from_buffer("double[]", rates),
        seconds,
        ffi.from_buffer("double[]", sums),
    )
    return not failed, int(position[0])


def step_on(
    compiled: Compiled, inputs: list[Array], targets: list[Array], weights: Array | None, sums: Array
) -> Callable[[Array, float], bool]:
    """A function that trains on one mini-batch, given its examples and the learning rate, and tells whether the loss
    stayed finite."""
    compiled.writing()
    ffi, train = compiled.ffi, compiled.functions["train_batches"]
    data, total = _data(compiled, inputs, targets, weights), ffi.from_buffer("double[]", sums)
    position, rate = ffi.new("int64_t *"), ffi.new("double *")

    def step(examples: Array, lr: float) -> bool:
        position[0], rate[0] = 0, lr
        at = ffi.from_buffer("int64_t[]", examples)
        return not train(compiled.net, *data, at, len(examples), position, rate, 0.0, total)

    return step


def _data(compiled: Compiled, inputs: list[Array], targets: list[Array], weights: Array | None) -> list[Any]:
    """The pointers that `train_batches` of C takes for the data; inputs are numbers or bytes."""
    null = compiled.ffi.NULL
    given = compiled.arguments.pointers([*inputs, *targets, weights])
    stored = [pointer if array.dtype == BYTES else null for array, pointer in zip(inputs, given, strict=False)]
    numbers = [null if array.dtype == BYTES else pointer for array, pointer in zip(inputs, given, strict=False)]
    return [*numbers, *given[len(inputs) :], *stored]
