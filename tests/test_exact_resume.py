"""N epochs and M more are N + M, bit for bit: stopped within an epoch, and its checkpoint read by a new process that
goes on, for every optimizer and schedule, with all that a training may keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import dslc
from dslc import callbacks, optimizers, registry, schedules
from dslc.codegen import build
from dslc.runtime.model import Model

SPEC = """net Resumed {
  input image: 6x6x2
  standardize -> flip(horizontal) -> shift(1) -> rotate(20) -> noise(0.1) -> crop(5x5)
  -> conv(3, 3) -> batchnorm -> relu -> spatial_dropout(0.2) -> flatten -> dropout(0.3)
  -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer OPTIMIZER
  epochs    4
  seed      3
  MORE
}
"""
CASES = {
    "sgd": ("sgd(0.05, momentum=0.9, nesterov=on)", "schedule inverse_time(0.5)", "arrays"),
    "momentum": ("momentum(0.05)", "schedule exponential(0.9)\n  average ema(0.9)", "stream"),
    "rmsprop": ("rmsprop(0.01, momentum=0.5, centered=on)", "schedule step(1, 0.5)\n  batch 6 in 2", "arrays"),
    "adam": ("adam(0.01, amsgrad=on)", "schedule warmup(9) -> cosine(4)\n  stop early(2)", "disk"),
    "adamw": ("adamw(0.01)", "schedule milestones((1, 2), 0.5)\n  batch 6 in 3\n  average ema(0.5)", "stream"),
    "adagrad": ("adagrad(0.1)", "schedule poly(2, 4)\n  shuffle off", "disk"),
    "adadelta": ("adadelta", "schedule one_cycle(0.5, epochs=4)\n  precision float64", "arrays"),
    "adamax": ("adamax(0.01)", "schedule plateau(patience=0)\n  stop early(1)", "stream"),
    "nadam": ("nadam(0.01)", "schedule plateau(patience=0, metric=loss)\n  average ema(0.9)", "disk"),
    "lion": ("lion(0.01)", "on_nan halve_lr", "broken"),
    "lamb": ("lamb(0.01)", "clip norm(1)\n  regularize l2(0.01)", "arrays"),
    "lookahead": ("lookahead(adam(0.01), k=3)", "schedule inverse_time(0.1)", "disk"),
    "lars": ("lars(0.1)", "regularize l1(0.01), max_norm(1)\n  on_nan skip", "broken"),
}
EXAMPLES, BATCH = 20, 6
STEPS = -(-EXAMPLES // BATCH)


def spec(case: str) -> str:
    optimizer, more, _ = CASES[case]
    more = more if "batch" in more else f"{more}\n  batch {BATCH}"
    return SPEC.replace("OPTIMIZER", optimizer).replace("MORE", more)


def training_set(case: str, folder: Path) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((EXAMPLES, 6, 6, 2)).astype(np.float32), draw.integers(0, 3, EXAMPLES)
    kind = CASES[case][2]
    if kind == "broken":
        x[4] = 1e30  # the mini-batch that it is in has no finite loss
    if kind == "stream":
        parts = [slice(first, first + 7) for first in range(0, EXAMPLES, 7)]
        return dslc.Stream(lambda: ((x[part], y[part]) for part in parts), length=EXAMPLES, shuffle=9), None
    if kind == "disk":
        np.save(folder / "x.npy", x)
        return np.load(folder / "x.npy", mmap_mode="r"), y
    return x, y


def dev_set() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    return draw.standard_normal((9, 6, 6, 2)).astype(np.float32), draw.integers(0, 3, 9)


class StopsAt(callbacks.Callback):
    """Writes a checkpoint after so many mini-batches, and ends training."""

    every_batch = True

    def __init__(self, batches: int, path: Path) -> None:
        self.left, self.path = batches, path

    def on_train_begin(self, model: Model) -> None:
        self.model = model

    def on_batch(self, record: dict[str, float]) -> str | None:
        self.left -= 1
        if self.left:
            return None
        self.model.checkpoint(self.path)
        return "enough"


def resume(folder: Path) -> None:
    """What the new process does."""
    for case in CASES:
        model = dslc.loads(spec(case))
        model.resume(folder / f"{case}.stopped")
        model.fit(*training_set(case, folder), dev_set())
        model.checkpoint(folder / f"{case}.resumed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of trainings that nobody stopped, and of those that were stopped and resumed."""
    folder = tmp_path_factory.mktemp("resumed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(build.EXTRA_FLAGS, "-O0 -fno-lto")
        for number, case in enumerate(CASES):
            whole, stopped = dslc.loads(spec(case)), dslc.loads(spec(case))
            whole.fit(*training_set(case, folder), dev_set())
            whole.checkpoint(folder / f"{case}.whole")
            at = STEPS + 1 + number % STEPS  # in the second epoch; also at its end, before the dev set was seen
            stops = StopsAt(at, folder / f"{case}.stopped")
            stopped.fit(*training_set(case, folder), dev_set(), callbacks=[stops])
        subprocess.run([sys.executable, __file__, str(folder)], check=True, env=dict(os.environ))
    return folder


def test_all_optimizers_and_schedules_are_tried() -> None:
    assert CASES.keys() == set(registry.names(optimizers))
    given = " ".join(more for _, more, _ in CASES.values())
    assert [name for name in registry.names(schedules) if f"{name}(" not in given] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_stopping_changes_no_bit(case: str, trained: Path) -> None:
    files = [trained / f"{case}.{kind}" for kind in ("whole", "resumed")]
    wanted, found = map(load_file, files)
    assert wanted.keys() == found.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    positions = []
    for file in files:
        with safe_open(str(file), framework="numpy") as opened:
            positions.append(json.loads(opened.metadata()["position"]))
        for record in positions[-1]["records"]:
            del record["seconds"]
    assert positions[0] == positions[1]
    assert len(positions[0]["records"]) > 2, "it goes on for a while"


if __name__ == "__main__":
    resume(Path(sys.argv[1]))
