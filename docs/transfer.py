"""Transfer learning on real digits: 0 to 4 are learned from thousands of images, then 5 to 9 from ten of each.

    python docs/transfer.py

prints the table of docs/transfer.md: the accuracy on all test images of 5 to 9, over five seeds. Each seed draws the
fresh parameters and the ten images of each digit; all three networks of a seed see the same fifty images equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import dslc
from dslc.runtime.data.datasets import Split, load_dataset

SPEC = Path(__file__).resolve().parent.parent / "specs" / "transfer.net"
BODY = ("conv1", "conv2", "dense1")
EACH = 10
WAYS = ("from scratch", "transferred, all layers trained", "transferred, filters frozen")


def digits(part: Split, first: int) -> Split:
    """The five digits from `first` on, as classes 0 to 4."""
    chosen = (part.y >= first) & (part.y < first + 5)
    return Split(part.x[chosen], part.y[chosen] - first)


def few(part: Split, seed: int) -> Split:
    """So many examples of each class, drawn by the seed."""
    random = np.random.default_rng(seed)
    at = np.concatenate([random.choice(np.flatnonzero(part.y == c), EACH, replace=False) for c in range(5)])
    return Split(part.x[at], part.y[at])


def accuracies(seed: int, base_epochs: int = 5, epochs: int = 100) -> tuple[float, ...]:
    """On the test images of 5 to 9, for each of WAYS."""
    data = load_dataset("mnist")
    source, target = digits(data.train, 0), few(digits(data.train, 5), seed)
    test = digits(data.test, 5)
    base = dslc.load(SPEC, start=seed)
    base.fit(source.x, source.y, epochs=base_epochs)
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "zero_to_four.safetensors"
        base.save(weights)
        models = [dslc.load(SPEC, start=seed + 1000, frozen=frozen) for frozen in (False, False, True)]
        for model in models[1:]:
            model.load_weights(weights, only=BODY)
    for model in models:
        model.fit(target.x, target.y, epochs=epochs)
    return tuple(model.evaluate(test.x, test.y)["accuracy"] for model in models)


def main(seeds: Sequence[int] = range(1, 6)) -> None:
    found = np.array([accuracies(seed) for seed in seeds])
    print(f"{'accuracy on 5 to 9':36}  mean   " + "  ".join(f"seed {seed}" for seed in seeds))
    for way, row in zip(WAYS, found.T, strict=True):
        print(f"{way:36}  {row.mean():.3f}  " + "  ".join(f"{value:6.3f}" for value in row))


if __name__ == "__main__":
    main()
