"""How much memory an epoch takes on data larger than memory: a sparse memory map of bytes, or a stream that makes them.

    python benchmarks/memory.py --gigabytes 10
    python benchmarks/memory.py --gigabytes 10 --stream

Prints the resident memory while it trains: all of it, and what belongs to the process alone, without the pages of the
file that the system lends and takes back.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dslc

SIDE, CHANNELS, CLASSES = 64, 3, 10
SPEC = f"""net Memory {{
  input image: {SIDE}x{SIDE}x{CHANNELS}
  maxpool(4x4) -> flatten
  dense({CLASSES}) -> softmax
}}
train {{
  loss cross_entropy
  optimizer sgd(0.01)
  batch 256
}}
"""
BLOCK = 1024
"""Examples in a batch of the stream."""


class Watch:
    """Looks at the memory of this process every `seconds`, in a thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.curve = seconds, []
        self.started, self.over = time.monotonic(), threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(self.seconds):
            self.curve.append((time.monotonic() - self.started, *resident()))


def resident() -> tuple[float, float]:
    """The resident memory in MiB, and the part of it that is no file's."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))


def made(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        yield random.integers(0, 256, (size, SIDE, SIDE, CHANNELS), np.uint8), np.arange(first, first + size) % CLASSES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--stream", action="store_true", help="batches made on the fly, in place of a file")
    parser.add_argument("--folder", help="where the sparse file is made")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    count = int(given.gigabytes * 1e9) // (SIDE * SIDE * CHANNELS)
    model = dslc.loads(SPEC)
    before = resident()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, Watch(0.25) as watch:
        if given.stream:
            history = model.fit(dslc.Stream(lambda: made(count), shuffle=4 * BLOCK), epochs=1)
        else:
            path = Path(folder) / "x"
            np.memmap(path, np.uint8, "w+", shape=(count, SIDE, SIDE, CHANNELS))
            x = np.memmap(path, np.uint8, "r", shape=(count, SIDE, SIDE, CHANNELS))
            history = model.fit(x, np.arange(count) % CLASSES, epochs=1)
    seconds = history.records[0]["seconds"]
    print(f"{given.gigabytes:g} GB, {count:,} examples, one epoch in {seconds:.1f} s")
    print("   seconds  resident MiB  without files")
    print(f"   before   {before[0]:12.0f}  {before[1]:13.0f}")
    every = max(1, len(watch.curve) // 12)
    for at, whole, own in watch.curve[::every]:
        print(f"   {at:7.1f}  {whole:12.0f}  {own:13.0f}")
    print(f"   peak     {max(c[1] for c in watch.curve):12.0f}  {max(c[2] for c in watch.curve):13.0f}")


if __name__ == "__main__":
    main()
