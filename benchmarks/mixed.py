"""Products in bf16: our dense layers in float32 and `mixed` beside PyTorch's, one thread, interleaved in one run.

    python benchmarks/mixed.py [--rounds 15]

Prints for each size of a network of three equal dense layers the median milliseconds of a training step and of a
prediction, and each one's time over that of ours in float32, by the medians of the ratios of the rounds. PyTorch leaves
products to oneDNN: in float32, with autocast (weights are float32, and turned into bf16 in each step), and with
everything in bf16, weights too, which is what oneDNN does without conversions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import dslc

SIZES = ((256, 128), (1024, 32), (1024, 128), (1024, 512), (1021, 127), (2048, 128))
"""Units of a layer and examples of a mini-batch; one pair fills no vectors."""
CLASSES = 10
SPEC = """net Bench {{
  input x: {units}
  dense({units}) -> relu -> dense({units}) -> relu -> dense({units}) -> relu -> dense({classes}) -> softmax
}}
train {{
  loss cross_entropy
  optimizer sgd(lr=0.001)
  batch {batch}
}}
"""
Calls = dict[str, Callable[[], Any]]


def ours(precision: str, units: int, batch: int, x: Any, y: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A training step and a prediction."""
    text = SPEC.format(units=units, batch=batch, classes=CLASSES)
    model = dslc.loads(text, dtype=precision, threads=1)
    return lambda: model.train_step(x, y), lambda: model.predict(x)


def rival(kind: str, units: int, x: Any, y: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The same of PyTorch: `float32`, `autocast` or `bf16`."""
    layers = [m for _ in range(3) for m in (torch.nn.Linear(units, units), torch.nn.ReLU())]
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    model = torch.nn.Sequential(*layers, torch.nn.Linear(units, CLASSES)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, fused=True)
    inputs, labels = torch.from_numpy(x).to(dtype), torch.from_numpy(y)

    def output() -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            return model(inputs)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(output().float(), labels).backward()
        optimizer.step()

    def predict() -> Any:
        with torch.inference_mode():
            return output()

    return step, predict


def seconds(call: Callable[[], Any]) -> float:
    """The time of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(title: str, calls: Calls, rounds: int) -> None:
    """A row for all, in turns; the first is what the others are compared with."""
    for call in calls.values():
        call()
    times = np.array([[seconds(call) for call in calls.values()] for _ in range(rounds)])
    medians, ratios = np.median(times, axis=0), np.median(times / times[:, :1], axis=0)
    cells = (f"{name} {1e3 * t:.2f} ({r:.2f})" for name, t, r in zip(calls, medians, ratios, strict=True))
    print(f"{title:28}", "  ".join(cells), flush=True)


def main() -> None:
    """Every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    random = np.random.default_rng(1)
    for units, batch in SIZES:
        x = random.standard_normal((batch, units)).astype(np.float32)
        y = random.integers(0, CLASSES, batch)
        made = {f"ours {p}": ours(p, units, batch, x, y) for p in ("float32", "mixed")}
        made |= {f"PyTorch {kind}": rival(kind, units, x, y) for kind in ("float32", "autocast", "bf16")}
        for job, what in enumerate(("step", "prediction")):
            compare(f"{units} units, {batch:3}: {what}", {name: call[job] for name, call in made.items()}, rounds)


if __name__ == "__main__":
    main()
