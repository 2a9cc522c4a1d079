"""Long runs: memory and speed stay what they are.

    python tests/soak.py --minutes 60       training: resident memory flat to 1 MB, speed flat to 5%
    python tests/soak.py --models 5000      models that are made, trained for a step and dropped: flat to 1 MB

Speed is processor time, so that others on the machine count as little as can be.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

import dslc
from dslc import callbacks

SPEC = """net Soak {
  input image: 28x28x1
  flip(horizontal) -> shift(2)
  conv(8, 5x5) -> batchnorm -> relu -> maxpool(2x2)
  flatten -> dropout(0.3) -> dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.001)
  batch     64
}
"""
MEGABYTE = 2**20
EPOCHS = 200
FLAT = 0.05


def resident() -> int:
    """The bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and classes."""
    draw = np.random.default_rng(0)
    return draw.random((count, 28, 28, 1), dtype=np.float32), draw.integers(0, 10, count)


class Watch(callbacks.Callback):
    """Memory and processor time at the end of each epoch, until the time is over."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.memory: list[int] = []
        self.seconds: list[float] = []
        self.before = time.process_time()

    def on_epoch(self, record: dict[str, float]) -> str | None:
        now = time.process_time()
        self.seconds.append(now - self.before)
        self.memory.append(resident())
        self.before = now
        return "time" if time.monotonic() > self.until else None


def train(minutes: float) -> list[str]:
    """Trains for so long; what was not flat. The first epochs are left out: memory is touched for the first time."""
    model = dslc.loads(SPEC, threads=1)
    x, y = examples(4096)
    model.fit(x, y, epochs=1)
    began = time.process_time()
    model.fit(x, y, epochs=1)
    count = int(len(x) * 60 * minutes / EPOCHS / (time.process_time() - began))
    watch = Watch(60 * minutes)
    model.fit(*examples(count), epochs=10**6, callbacks=[watch])
    if len(watch.seconds) < 7:
        return [f"only {len(watch.seconds)} epochs were done: take more minutes"]
    memory, seconds = watch.memory[2:], watch.seconds[2:]
    part = max(1, len(seconds) // 5)
    first, last = median(seconds[:part]), median(seconds[-part:])
    grown = max(memory[-part:]) - max(memory[:part])
    print(f"{len(seconds)} epochs of {count} examples: {first:.3f} s each at first, {last:.3f} s at last")
    print(f"resident memory: {memory[0] / MEGABYTE:.1f} MB at first, {grown / MEGABYTE:+.2f} MB since")
    problems = [f"memory grew by {grown} bytes"] if grown > MEGABYTE else []
    return problems + ([f"speed changed from {first:.3f} to {last:.3f} s"] if abs(last / first - 1) > FLAT else [])


def models(count: int, spec: str = SPEC, shape: tuple[int, ...] = (28, 28, 1)) -> list[str]:
    """Makes and drops so many models, each trained for a step and copied; what was not flat, compared with the memory
    after a fifth of them."""
    draw = np.random.default_rng(0)
    x, y = draw.random((64, *shape), dtype=np.float32), draw.integers(0, 3, 64)
    memory = []
    for _ in range(count):
        model = dslc.loads(spec, threads=2)
        model.train_step(x, y)
        model.copy().predict(x)
        del model
        gc.collect()
        memory.append(resident())
    part = max(1, count // 5)
    grown = max(memory[-part:]) - max(memory[part : 2 * part])
    print(f"{count} models: resident memory {memory[part] / MEGABYTE:.1f} MB, {grown / MEGABYTE:+.2f} MB since")
    return [f"memory grew by {grown} bytes"] if grown > MEGABYTE else []


def main() -> int:
    """Runs what is asked for. Returns 1 if something was not flat."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--models", type=int)
    options = parser.parse_args()
    problems = train(options.minutes) if options.minutes else []
    problems += models(options.models) if options.models else []
    print("\n".join(problems) or "flat")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
