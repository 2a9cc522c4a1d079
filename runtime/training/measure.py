"""The speed and size of a compiled network, which can be measured before training."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from dslc.compiler import plan_network
from dslc.runtime.training.trainable import Trainable

SECONDS = 0.2
"""For about this long predictions are timed."""
MIN_RUNS, MAX_RUNS = 5, 201


def measure(model: Trainable, names: Iterable[str], x: Any) -> dict[str, float]:
    """The named quantities out of `objective.MEASURED`. x: inputs, of which the first example is predicted."""
    how = {"predict_us": microseconds, "parameters": parameters, "kilobytes": kilobytes}
    return {name: how[name](model, x) for name in names}


def microseconds(model: Trainable, x: Any) -> float:
    """The median time in microseconds that the C takes to predict one example."""
    warm = statistics.median(model.prediction_times(x, MIN_RUNS))
    runs = min(max(int(SECONDS / max(warm, 1e-9)), MIN_RUNS), MAX_RUNS)
    return 1e6 * statistics.median(model.prediction_times(x, runs))


def parameters(model: Trainable, x: Any) -> float:
    """The number of parameters, frozen ones included: the total that `dslc check` prints."""
    return float(sum(p.elements for p in model.network.parameters if p.trained))


def kilobytes(model: Trainable, x: Any) -> float:
    """The memory for predicting one example at a time, parameters and activations, in units of 1000 bytes."""
    plan = plan_network(model.network, model.target, 1, model.threads, model.options)
    return plan.arena_bytes(training=False) / 1000
