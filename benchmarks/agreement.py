"""Nothing is timed before it is right: every contender has to predict and to learn what dslc does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from net import Net
from rivals import CONTENDERS, OURS
from timing import Absent, Worker

Array = np.ndarray[Any, Any]
STEPS = 10
OUTPUTS = {"float32": 1e-4, "float64": 1e-9}
"""How far predictions may differ, relative to the largest one."""
LOSSES = {"float32": 1e-3, "float64": 1e-6}
"""How far losses may differ, relatively, after ten steps."""


class Mismatch(Exception):
    """A contender computes something else."""


def build_alike(workers: dict[str, Worker], net: Net, plain: Net) -> dict[str, str]:
    """Builds `net` in every process with the same weights, after a comparison of `plain`, the same without dropout.

    Contenders that cannot build it are taken out of `workers`; the result says why.

    Raises:
        Mismatch: a contender's outputs or losses differ from dslc's.
    """
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.npz")
        workers[OURS].ask("build", plain, None)
        workers[OURS].ask("export", path)
        ours = _results(workers[OURS], OURS, plain, path)
        for name in list(workers):
            try:
                if name != OURS:
                    _compare(CONTENDERS[name].title, plain, ours, _results(workers[name], name, plain, path))
                if net.has_dropout:
                    workers[name].ask("build", net, path)
            except Absent as reason:
                absent[name] = str(reason)
                workers.pop(name).close()
    if OURS in absent:
        raise Absent(absent[OURS])
    return absent


@dataclass(frozen=True)
class Results:
    """Predictions for the batch and for one example, and the losses of training, if there was any."""

    batch: Array
    one: Array
    losses: list[float]


def _results(worker: Worker, name: str, net: Net, weights: str) -> Results:
    worker.ask("build", net, weights)
    batch, one = worker.ask("outputs")
    return Results(batch, one, worker.ask("losses", STEPS + 1) if CONTENDERS[name].trains else [])


def _compare(title: str, net: Net, ours: Results, theirs: Results) -> None:
    for what, a, b in (("the batch", ours.batch, theirs.batch), ("one example", ours.one, theirs.one)):
        difference = np.abs(a - b).max() / np.abs(a).max()
        if not difference <= OUTPUTS[net.dtype]:
            raise Mismatch(f"{title} predicts something else for {what}: a relative difference of {difference:.2g}")
    for step, (x, y) in enumerate(zip(ours.losses, theirs.losses, strict=False)):
        if not abs(x - y) <= LOSSES[net.dtype] * abs(x):
            raise Mismatch(f"{title} learns something else: after {step} steps the loss is {y:.6g}, with dslc {x:.6g}")
