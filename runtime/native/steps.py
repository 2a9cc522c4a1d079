"""Calls of the C functions for training: on one mini-batch, or on as many as fit into a time slice."""

from __future__ import annotations

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
    capacity = compiled.plan.step_batch
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
) -> tuple[bool, int]:
    """Trains on mini-batches from position `done` of `order` on, each with the next learning rate of `rates`, for about
    `seconds`. An input of bytes is divided by 255. weights: what each example counts, None where all count alike.
    Returns whether the loss stayed finite, and the new position. Adds to `sums`, see `new_sums`."""
    compiled.writing()
    ffi = compiled.ffi
    position = ffi.new("int64_t *", done)
    given = compiled.arguments.pointers([*inputs, *targets, weights, order.astype(np.int64)])
    stored = [pointer if array.dtype == BYTES else ffi.NULL for array, pointer in zip(inputs, given, strict=False)]
    numbers = [ffi.NULL if array.dtype == BYTES else pointer for array, pointer in zip(inputs, given, strict=False)]
    failed = compiled.functions["train_batches"](
        compiled.net,
        *numbers,
        *given[len(inputs) : -1],
        *stored,
        given[-1],
        len(order),
        position,
        ffi.from_buffer("double[]", rates),
        seconds,
        ffi.from_buffer("double[]", sums),
    )
    return not failed, int(position[0])
