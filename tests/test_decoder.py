"""Layers that make images larger, together: prediction alone, mini-batches in lanes, threads, and without fusion."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from helpers import assert_agrees, assert_all_close, data, interpreter, load, outputs

BODY = """  input z: 4x3x6
  a = conv_transpose(20, 4, stride=2, pad=1) -> relu
  b = a -> conv_transpose(3, 3, stride=2, output_pad=1) -> upsample(1x2, bilinear)
  c = a -> depth_to_space(2) -> channel_shuffle(5) -> slice(1, 4) -> zeropad((0, 2, 1, 0))
  d = c -> upsample(1x2) -> slice(0, 1)
  b -> zeropad((0, 1, 0, 0)) -> slice(0, 1) -> avgpool(2, stride=1, ceil=on) -> flatten -> dense(4)
  e = linear
  output side = d -> separable_conv(2, 3, stride=2, multiplier=2) -> global_avgpool(keep=on)
  output main = e -> softmax
"""
TEXT = (
    f"net Decoder {{\n{BODY}}}\n"
    "train {\n  loss side: mse\n  loss main: cross_entropy\n  optimizer sgd(lr=0.1)\n  batch 33\n}\n"
)


def test_prediction_alone(rng: np.random.Generator) -> None:
    """No backward pass says how the filters are to be stored."""
    model = load(f"net Decoder {{\n{BODY}}}\n", rng)
    for n in (64, 17, 1):
        xs = {"z": rng.standard_normal((n, 4, 3, 6))}
        assert_all_close(outputs(model, xs), interpreter(model).predict(xs), 1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training(dtype: str, rng: np.random.Generator) -> None:
    """On mini-batches that fill lanes, and that do not."""
    model = load(TEXT, rng, dtype)
    for n in (33, 17, 1):
        assert_agrees(model, n, rng)


def test_the_same_bits_with_any_number_of_threads(rng: np.random.Generator) -> None:
    models = [dslc.loads(TEXT, threads=threads) for threads in (1, 2)]
    batch = data(models[0].network, 33, rng, "float32")
    found = []
    for model in models:
        loss = model.train_step(*batch)
        weights = {name: w.tobytes() for name, w in model.copy_weights().items()}
        found.append((loss, weights, {name: y.tobytes() for name, y in model.predict(batch[0]).items()}))
    assert found[0] == found[1]
