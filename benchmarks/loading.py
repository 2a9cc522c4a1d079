"""Whether a training step waits for its data: the time of an epoch read from a file, a stream and image files beside
that of the same examples in memory, in turns; how long the next step is waited for once warm; and how long the data
alone take.

    python benchmarks/loading.py --examples 4096
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import dslc
from dslc.runtime.data import lazy
from dslc.runtime.data.decoding import Decoders
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.image_files import ImageFiles
from dslc.runtime.training import batches

SPEC = """net Loading {
  input image: 32x32x3
  conv(32, 3x3, pad=same) -> relu -> maxpool(2x2)
  conv(64, 3x3, pad=same) -> relu -> maxpool(2x2)
  flatten
  dense(10) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.001)
  batch 64
}
"""


def sources(x: np.ndarray, y: np.ndarray, folder: Path, workers: int) -> dict[str, tuple[Any, Any]]:
    """The same examples from each place."""
    np.save(folder / "x.npy", x)
    np.save(folder / "f.npy", x.astype(np.float64) / 255)
    mapped = [np.load(folder / name, mmap_mode="r") for name in ("x.npy", "f.npy")]
    given = {
        "memory": (x, y),
        "memory map": (mapped[0], y),
        "map of float64": (mapped[1], y),
        "stream": (dslc.Stream([(x[i : i + 50], y[i : i + 50]) for i in range(0, len(x), 50)], shuffle=1000), None),
    }
    try:
        from PIL import Image
    except ImportError:
        return given
    files = [folder / f"{i}.png" for i in range(len(x))]
    for file, pixels in zip(files, x, strict=True):
        Image.fromarray(pixels).save(file)
    given["image files"] = (ImageFiles(files, x.shape[1:], 1, Decoders(workers, Reading())), y)
    return given


def waiting(model: Any, x: Any, y: Any) -> float:
    """The seconds of an epoch that are not spent on training steps, the start of the reading left out."""
    steps, ends = model.train_batches, []

    def timed(*given: Any) -> Any:
        started = time.perf_counter()
        found = steps(*given)
        ends.append((started, time.perf_counter()))
        return found

    model.train_batches = timed
    model.fit(x, y, epochs=1)
    del model.train_batches
    warm = ends[len(ends) // 4 :]
    return sum(after[0] - before[1] for before, after in pairwise(warm)) * 4 / 3


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def read_alone(model: Any, x: Any, y: Any) -> None:
    with model._training_batches(x, y).epoch(0, model.share) as pieces:
        for _ in pieces:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the network; one core is left for the reading")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode images")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    lazy.ON_DISK, batches.WINDOW = 1 << 20, 2 << 20  # so that little data are read as much data are
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (given.examples, 32, 32, 3), np.uint8)
    y = random.integers(0, 10, given.examples)
    with tempfile.TemporaryDirectory() as folder:
        found = sources(x, y, Path(folder), given.workers)
        model = dslc.loads(SPEC, threads=given.threads)
        times: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(given.epochs + 1):
            for name, (its_x, its_y) in found.items():
                times[name].append(seconds(lambda its_x=its_x, its_y=its_y: model.fit(its_x, its_y, epochs=1)))
        steps = -(-given.examples // 64)
        alone = statistics.median(times["memory"][1:])
        print("                   us/step  ratio to memory  waiting, us/step  reading alone, us/step")
        for name, (its_x, its_y) in found.items():
            median = statistics.median(times[name][1:])
            reading = seconds(lambda its_x=its_x, its_y=its_y: read_alone(model, its_x, its_y))
            waited = waiting(model, its_x, its_y)
            numbers = (1e6 * median / steps, median / alone, 1e6 * waited / steps, 1e6 * reading / steps)
            print("  {:15}  {:7.0f}  {:15.3f}  {:16.0f}  {:22.0f}".format(name, *numbers))


if __name__ == "__main__":
    main()
