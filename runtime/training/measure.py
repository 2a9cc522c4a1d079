"""What can be measured of a compiled network before it is trained: its speed and its size."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from dslc.compiler import plan_network
from dslc.runtime.training.trainee import Trainee

SECONDS = 0.2
"""About so long predictions are timed."""
FEWEST, MOST = 5, 201


def measure(model: Trainee, names: Iterable[str], x: Any) -> dict[str, float]:
    """The quantities of `objective.MEASURED` that are named; x: inputs of which the first example is predicted."""
    how = {"predict_us": microseconds, "parameters": parameters, "kilobytes": kilobytes}
    return {name: how[name](model, x) for name in names}


def microseconds(model: Trainee, x: Any) -> float:
    """The median time that the C takes to predict one example."""
    warm = statistics.median(model.prediction_times(x, FEWEST))
    runs = min(max(int(SECONDS / max(warm, 1e-9)), FEWEST), MOST)
    return 1e6 * statistics.median(model.prediction_times(x, runs))


def parameters(model: Trainee, x: Any) -> float:
    """How many numbers training could adjust, frozen ones included: what `dslc check` shows as the total."""
    return float(sum(p.elements for p in model.network.parameters if p.trained))


def kilobytes(model: Trainee, x: Any) -> float:
    """Memory in thousands of bytes to predict one example at a time: parameters and activations."""
    plan = plan_network(model.network, model.target, 1, model.threads, model.options)
    return plan.arena_bytes(training=False) / 1000
