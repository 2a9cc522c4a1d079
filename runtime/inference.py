"""Prediction and evaluation over any number of examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.runtime.compiled import Compiled
from dslc.runtime.metrics import head_metrics

Array = np.ndarray[Any, Any]


def predict(compiled: Compiled, inputs: list[Array]) -> Any:
    """The outputs: an array, or a dict by head if there are several."""
    count, pointers = len(inputs[0]), compiled.arguments.pointers
    outputs = _new_outputs(compiled, count)
    compiled.functions["predict"](compiled.net, *pointers(inputs), count, *pointers(outputs))
    if len(outputs) == 1:
        return outputs[0]
    return {head.name: output for head, output in zip(compiled.network.heads, outputs, strict=True)}


def evaluate(
    compiled: Compiled, inputs: list[Array], targets: list[Array], metrics: tuple[str, ...]
) -> dict[str, float]:
    """Loss (without regularization) and metrics; with several heads each one's under its name too."""
    count, pointers, heads = len(inputs[0]), compiled.arguments.pointers, compiled.network.heads
    outputs = _new_outputs(compiled, count)
    sums = compiled.ffi.new("double[]", 2 * len(heads))
    given = (*pointers(inputs), *pointers(targets))
    compiled.functions["evaluate"](compiled.net, *given, count, *pointers(outputs), sums)
    losses = [sums[2 * i] / sums[2 * i + 1] for i in range(len(heads))]
    results = {"loss": sum(losses)}
    for head, loss, output, target in zip(heads, losses, outputs, targets, strict=True):
        prefix = f"{head.name}_" if len(heads) > 1 else ""
        if prefix:
            results[f"{prefix}loss"] = loss
        results |= {prefix + key: value for key, value in head_metrics(head, output, target, metrics).items()}
    return results


def _new_outputs(compiled: Compiled, count: int) -> list[Array]:
    return [np.empty((count, *head.value.shape), compiled.dtype) for head in compiled.network.heads]
