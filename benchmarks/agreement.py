"""Nothing is timed before it is right: every contender has to predict and to learn what dslc does."""

from __future__ import annotations

import os
import tempfile
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


Results = tuple[Array, Array, "list[float] | None"]


def _results(worker: Worker, name: str, net: Net, weights: str) -> Results:
    """Predictions for the batch and for one example, and the losses of training."""
    worker.ask("build", net, weights)
    batch, one = worker.ask("outputs")
    return batch, one, worker.ask("losses", STEPS + 1) if CONTENDERS[name].trains else None


def _compare(title: str, net: Net, ours: Results, theirs: Results) -> None:
    for what, i in (("batch", 0), ("one example", 1)):
        difference = np.abs(ours[i] - theirs[i]).max() / np.abs(ours[i]).max()
        if not difference <= OUTPUTS[net.dtype]:
            raise Mismatch(f"{title} predicts something else for {what}: a relative difference of {difference:.2g}")
    if theirs[2] is None:
        return
    for step, (a, b) in enumerate(zip(ours[2] or [], theirs[2], strict=True)):
        if not abs(a - b) <= LOSSES[net.dtype] * abs(a):
            raise Mismatch(f"{title} learns something else: after {step} steps the loss is {b:.6g}, with dslc {a:.6g}")
