"""Prediction and evaluation over any number of examples."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dslc.runtime.metrics import head_confusion, head_metrics, mean_losses
from dslc.runtime.native.compiled import Compiled

Array = np.ndarray[Any, Any]


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
    heads, outputs = compiled.network.heads, _outputs(compiled, arguments.inputs(x))
    if len(outputs) == 1:
        return outputs[0]
    return {head.name: output for head, output in zip(heads, outputs, strict=True)}


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


def confusion(compiled: Compiled, inputs: list[Array], targets: list[Array], weights: Array | None) -> dict[str, Array]:
    """The confusion matrix (classes, classes) of every head that predicts classes, by head."""
    outputs = _outputs(compiled, inputs)
    found = {
        head.name: head_confusion(head, output, target, weights)
        for head, output, target in zip(compiled.network.heads, outputs, targets, strict=True)
    }
    return {name: matrix for name, matrix in found.items() if matrix is not None}


def evaluate(
    compiled: Compiled, inputs: list[Array], targets: list[Array], weights: Array | None, metrics: tuple[str, ...]
) -> dict[str, float]:
    """Loss (without regularization) and metrics by name. With several heads, the total `loss` and each head's own loss
    and metrics, prefixed with its name. weights: what each example counts, in the losses and in the metrics."""
    count, pointers, heads = len(inputs[0]), compiled.arguments.pointers, compiled.network.heads
    outputs = _new_outputs(compiled, count)
    sums = compiled.ffi.new("double[]", 2 * len(heads))
    given = pointers([*inputs, *targets, weights])
    compiled.functions["evaluate"](compiled.net, *given, count, *pointers(outputs), sums)
    losses = mean_losses(list(sums))
    results = {"loss": sum(losses)}
    for head, loss, output, target in zip(heads, losses, outputs, targets, strict=True):
        prefix = f"{head.name}_" if len(heads) > 1 else ""
        if prefix:
            results[f"{prefix}loss"] = loss
        found = head_metrics(head, output, target, metrics, weights)
        results |= {prefix + key: value for key, value in found.items()}
    return results


def _new_outputs(compiled: Compiled, count: int) -> list[Array]:
    return [np.empty((count, *head.value.shape), compiled.dtype) for head in compiled.network.heads]
