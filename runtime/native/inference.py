"""Prediction and evaluation over any number of examples."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from dslc.runtime.data.arrays import no_label
from dslc.runtime.metrics import Tally, head_confusion, mean_losses
from dslc.runtime.native.compiled import Compiled
from dslc.runtime.native.ranks import Ranks

Array = np.ndarray[Any, Any]
Portions = Iterable[tuple[list[Array], list[Array], Array | None]]
"""Inputs and targets in portions of whole mini-batches, but for the last."""


def predict(compiled: Compiled, x: Any) -> Any:
    """The outputs for x: an array (n, *output), or a dict of arrays by head if there are several. Raises DataError if x
    does not fit."""
    arguments = compiled.arguments
    if arguments.output is not None and (numbers := arguments.direct_pointer(x)) is not None:
        # The general path below would take longer in Python than a small network in C.
        count = len(x)
        output = np.empty((count, *arguments.output), arguments.dtype)
        compiled.functions["predict"](compiled.net, numbers, count, arguments.reals(output))
        return output
    heads, outputs = compiled.network.answers, _outputs(compiled, arguments.inputs(x))
    if len(outputs) == 1:
        return outputs[0]
    return {head.name: output for head, output in zip(heads, outputs, strict=True)}


def predict_portions(compiled: Compiled, portions: Iterable[list[Array]]) -> Any:
    """The same for inputs that come in portions of whole mini-batches."""
    heads = compiled.network.answers
    found = _joined([_outputs(compiled, inputs) for inputs in portions])
    return found[0] if len(found) == 1 else {head.name: array for head, array in zip(heads, found, strict=True)}


def _outputs(compiled: Compiled, inputs: list[Array]) -> list[Array]:
    """The outputs of all heads."""
    count, pointers = len(inputs[0]), compiled.arguments.pointers
    outputs = _new_outputs(compiled, count)
    compiled.functions["predict"](compiled.net, *pointers(inputs), count, *pointers(outputs))
    return outputs


def times(compiled: Compiled, inputs: list[Array], runs: int) -> list[float]:
    """The seconds that the C takes to predict these inputs, measured `runs` times."""
    count, pointers = len(inputs[0]), compiled.arguments.pointers
    outputs = _new_outputs(compiled, count)
    given = (*pointers(inputs), count, *pointers(outputs))
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        compiled.functions["predict"](compiled.net, *given)
        found.append(time.perf_counter() - started)
    return found


def confusion(compiled: Compiled, portions: Portions) -> dict[str, Array]:
    """The confusion matrix (classes, classes) of every head that predicts classes, by head."""
    matrices: dict[str, Array] = {}
    for inputs, targets, weights in portions:
        outputs = _outputs(compiled, inputs)
        for head, output, target in zip(compiled.network.answers, outputs, targets, strict=False):
            matrix = head_confusion(head, output, target, weights)
            if matrix is not None:
                matrices[head.name] = matrices.get(head.name, 0) + matrix
    return matrices


def evaluate(compiled: Compiled, portions: Portions, metrics: tuple[str, ...], ranks: Ranks) -> dict[str, float]:
    """Loss (without regularization) and metrics by name, over the portions of all ranks. With several heads, the total
    `loss` and each head's own loss and metrics, prefixed with its name.

    Raises:
        DataError: a head has no label on any rank.
    """
    pointers, heads = compiled.arguments.pointers, compiled.network.answers
    sums = np.zeros(2 * len(heads))
    tallies = [Tally(head, metrics) for head in heads]
    for inputs, targets, weights in portions:
        count = len(inputs[0])
        outputs = _new_outputs(compiled, count)
        given = pointers([*inputs, *targets, weights])
        loss_sums = compiled.ffi.from_buffer("double[]", sums)
        compiled.functions["evaluate"](compiled.net, *given, count, *pointers(outputs), loss_sums)
        for tally, output, target in zip(tallies, outputs, targets, strict=False):  # answers come first
            tally.add(output, target, weights)
    ranks.add_up([sums, *(numbers for tally in tallies for numbers in tally.numbers.values())])
    for head, labels in zip(heads, sums[1::2], strict=True):
        if not labels:
            raise no_label(head, "all")
    losses = mean_losses(sums.tolist())
    results = {"loss": sum(losses)}
    for head, loss, tally in zip(heads, losses, tallies, strict=True):
        prefix = f"{head.name}_" if len(heads) > 1 else ""
        if prefix:
            results[f"{prefix}loss"] = loss
        results |= {prefix + name: value for name, value in tally.metrics().items()}
    return results


def _joined(parts: list[list[Array]]) -> list[Array]:
    """Arrays of portions one after the other."""
    return parts[0] if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _new_outputs(compiled: Compiled, count: int) -> list[Array]:
    return [np.empty((count, *head.value.shape), compiled.dtype) for head in compiled.network.answers]
