"""Autotuning: times the algorithms of each operation in the whole network on this machine, and keeps the fastest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from dslc import kernels
from dslc.ir import Network
from dslc.lowering.lower import lower
from dslc.operation import Operation
from dslc.planning.planner import DEFAULT, Options, default_setting
from dslc.planning.slicing import division
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.target import native

ROUNDS = 5
BLOCK_SECONDS = 0.05
WORTHWHILE = 0.98
"""A candidate wins only if it takes less than this share of the best time: a smaller gain may be noise."""


@dataclass(frozen=True)
class Trial:
    """One timing: operations of the same shape with one algorithm. `share`: the network's time relative to the best so
    far."""

    operations: tuple[str, ...]
    algorithm: str
    share: float


def tune(network: Network, threads: int, tell: Callable[[Trial], None]) -> Options:
    """The fastest algorithms of a network; `tell` is called with every candidate that was timed."""
    best = Model(network, threads, DEFAULT)
    chosen: dict[str, str] = {}
    for names, choices in _candidates(network, threads):
        for choice in choices:
            options = Options(algorithms=tuple({**chosen, **dict.fromkeys(names, choice)}.items()))
            rival = Model(network, threads, options)
            if rival.plan.steps == best.plan.steps:
                continue
            share = _compare(rival, best)
            tell(Trial(names, choice, share))
            if share < WORTHWHILE:
                best, chosen = rival, dict(options.algorithms)
    return Options(algorithms=tuple(chosen.items()))


def _candidates(network: Network, threads: int) -> list[tuple[tuple[str, ...], list[str]]]:
    """Operations of the same kind and shape, by name, with the algorithms that fit; the most expensive ones first."""
    divided = division(network)
    graph = lower(network, divided.sliced)
    setting = default_setting(graph, native(), divided.slice, threads)
    groups: dict[tuple[str, object], list[Operation]] = {}
    for op in (graph.train or graph.predict).operations:
        groups.setdefault((op.kind, op.detail), []).append(op)
    found = []
    for operations in groups.values():
        costs = kernels.algorithms(operations[0], setting)
        if len(costs) > 1:
            work = min(costs.values()) * len(operations)
            found.append((work, tuple(op.name for op in operations), sorted(costs, key=lambda c: costs[c])))
    return [(names, choices) for _, names, choices in sorted(found, key=lambda f: -f[0])]


def _compare(rival: Model, best: Model) -> float:
    """The median of the ratio of their times, measured in alternating blocks."""
    ours, theirs = _step(rival), _step(best)
    shares = []
    for _ in range(ROUNDS):
        shares.append(_block(ours) / _block(theirs))
    return statistics.median(shares)


def _step(model: Model) -> Callable[[], object]:
    """What is timed: forward and backward pass of a mini-batch, or a prediction if the network has no `train`."""
    network = model.network
    x, y = random_batch(network, model.batch, 0)
    inputs = x if len(x) > 1 else next(iter(x.values()))
    if network.training is None:
        return lambda: model.predict(inputs)
    targets = y if len(y) > 1 else next(iter(y.values()))
    return lambda: model.time_gradients(inputs, targets)


def _block(step: Callable[[], object]) -> float:
    """Seconds per step, averaged over a block of steps after one warm-up step."""
    step()
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < BLOCK_SECONDS:
        step()
        count += 1
    return (time.perf_counter() - start) / count
