"""Kernels that are no matrix products: odd sizes, long sums, many threads."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from helpers import assert_agrees, assert_close, data, load

TRAIN = "train {{\n  loss mse\n  optimizer sgd(lr=0.1)\n  batch {batch}\n}}\n"


def net(*lines: str, batch: int = 8) -> str:
    """A network of these lines that learns."""
    return "net Simple {\n  " + "\n  ".join(lines) + "\n}\n" + TRAIN.format(batch=batch)


def assert_same_bits(text: str, rng: np.random.Generator, sizes: tuple[int, ...]) -> None:
    """Losses, parameters and predictions after steps on mini-batches of these sizes, with 1, 2, 3 and 5 threads."""
    models = {threads: dslc.loads(text, threads=threads) for threads in (1, 2, 3, 5)}
    batches = [data(models[1].network, n, rng, "float32") for n in sizes]
    results = []
    for model in models.values():
        losses = [model.train_step(*batch) for batch in batches]
        weights = {p: w.tobytes() for p, w in model.copy_weights().items()}
        results.append((losses, weights, model.predict(batches[0][0]).tobytes()))
    assert np.isfinite(results[0][0]).all()
    assert all(result == results[0] for result in results)


# -------------------------------------------------------------------------------- sums over pixels, batchnorm


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("channels", [1, 6, 17, 32, 64, 100])
def test_batchnorm_of_any_number_of_channels(channels: int, dtype: str, rng: np.random.Generator) -> None:
    """Chunks with whole rows, with a part of one, and without a pixel."""
    text = net(
        "input x: 9x7x2",
        f"conv({channels}, 3x3, pad=same, bias=off) -> batchnorm -> tanh -> conv({channels}, 1x1) -> relu",
    )
    model = load(text, rng, dtype)
    for n in (8, 3, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("channels", [3, 32])
def test_sums_over_many_pixels(channels: int, rng: np.random.Generator) -> None:
    """Several blocks a chunk."""
    text = net("input x: 50x40x3", f"conv({channels}, 1x1, bias=off) -> batchnorm -> relu -> conv(2, 1x1)", batch=24)
    assert_agrees(load(text, rng, "float32"), 24, rng)


def test_batchnorm_far_from_zero(rng: np.random.Generator) -> None:
    """A mean a thousand times the deviation costs the variance nothing."""
    model = dslc.loads(net("input x: 30x30x5", "batchnorm(momentum=0) -> conv(1, 1x1)"), dtype="float32")
    xs, ys = data(model.network, 8, rng, "float32")
    xs["x"] = (xs["x"] + 1000).astype(np.float32).astype(np.float64)
    model.train_step(xs, ys)
    assert_close(model.parameters["batchnorm1.mean"].numpy(), xs["x"].mean(axis=(0, 1, 2)), 1e-6, "mean")
    assert_close(model.parameters["batchnorm1.var"].numpy(), xs["x"].var(axis=(0, 1, 2)), 1e-5, "variance")


def test_batchnorm_of_very_many_channels(rng: np.random.Generator) -> None:
    text = net(
        "input x: 4x3x2", "conv(4100, 2x2, bias=off) -> batchnorm -> tanh -> global_avgpool -> dense(3)", batch=3
    )
    assert_agrees(load(text, rng), 3, rng)


def test_sums_over_pixels_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = net("input x: 30x30x3", "conv(6, 3x3) -> batchnorm -> relu -> conv(16, 3x3, stride=2) -> tanh")
    assert_same_bits(text, rng, (8, 5, 1, 8))
