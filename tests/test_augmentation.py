"""Augmentation: what is drawn, against what the words of the language promise and against SciPy; the same bits with
any number of threads. That C draws what NumPy draws, tests/test_layers.py shows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.layers import Layer, Mode
from dslc.layers.crop import Crop
from dslc.layers.flip import Flip
from dslc.layers.noise import Noise
from dslc.layers.rotate import Rotate, rotated
from dslc.layers.shift import Shift
from dslc.runtime.analysis.augmentation_sheet import chains, sheet
from helpers import data

COUNT = 4000
TRAINING = Mode(training=True, seed=5)
ALL = "rotate(20) -> shift(2) -> flip(horizontal) -> flip(vertical) -> crop(20x18) -> noise(0.1)"
NET = """net Augmented {{
  input image: {size}
  {layers} -> flatten -> dense(3)
}}
train {{
  loss      mse
  optimizer sgd(lr=0.01)
  batch     {batch}
}}
"""


def augmented(layer: Layer, x: np.ndarray, mode: Mode = TRAINING) -> np.ndarray:
    return layer.reference((x,), {}, mode).y


def assert_even(found: Counter[object], kinds: int) -> None:
    """All kinds are there, and as often as chance has it: Pearson's statistic is near its degrees of freedom."""
    wanted = found.total() / kinds
    assert len(found) == kinds
    statistic = sum((count - wanted) ** 2 for count in found.values()) / wanted
    assert abs(statistic - (kinds - 1)) < 4 * np.sqrt(2 * (kinds - 1)), found


def pixel_at(row: int, column: int, height: int = 5, width: int = 7) -> np.ndarray:
    """Images that are zero but for one pixel."""
    x = np.zeros((COUNT, height, width, 1))
    x[:, row, column] = 1
    return x


def places(x: np.ndarray) -> Counter[object]:
    """Where the one pixel of each image lies."""
    assert (x.sum(axis=(1, 2, 3)) == 1).all()
    return Counter(zip(*(axis.tolist() for axis in np.nonzero(x)[1:3]), strict=True))


# ------------------------------------------------------------------------------------------------ what is drawn


@pytest.mark.parametrize(("direction", "place"), [("horizontal", (1, 4)), ("vertical", (3, 2))])
def test_flip_mirrors_every_other_image(direction: str, place: tuple[int, int]) -> None:
    found = places(augmented(Flip(direction), pixel_at(1, 2)))
    assert found.keys() == {(1, 2), place}
    assert_even(found, 2)


def test_shift_reaches_every_place_equally_often() -> None:
    found = places(augmented(Shift(2), pixel_at(2, 3)))
    assert found.keys() == {(row, column) for row in range(5) for column in range(1, 6)}
    assert_even(found, 25)


def test_shift_brings_in_zeros() -> None:
    y = augmented(Shift(1), np.ones((100, 3, 4, 2)))
    seen = {(int(image[:, :, 0].any(axis=1).sum()), int(image[:, :, 0].any(axis=0).sum())) for image in y}
    assert seen == {(2, 3), (2, 4), (3, 3), (3, 4)} and set(y.ravel()) == {0.0, 1.0}


def test_crop_starts_everywhere_and_predicts_the_centre() -> None:
    x = np.broadcast_to(np.arange(35.0).reshape(5, 7, 1), (COUNT, 5, 7, 1))
    parts = augmented(Crop((3, 4)), x)
    assert_even(Counter(parts[:, 0, 0, 0].tolist()), 3 * 4)
    assert all(np.array_equal(part - part[0, 0], x[0, :3, :4]) for part in parts)
    centre = augmented(Crop((3, 4)), x, Mode(training=False))
    assert np.array_equal(centre, x[:, 1:4, 1:5])


@pytest.mark.parametrize("angle", [-170.0, -90.0, -33.3, 0.0, 8.0, 90.0, 180.0])
@pytest.mark.parametrize("size", [(8, 8, 1), (9, 6, 3), (1, 5, 1)])
def test_rotation_agrees_with_scipy(angle: float, size: tuple[int, ...], rng: np.random.Generator) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    image = rng.standard_normal(size)
    wanted = ndimage.rotate(image, angle, reshape=False, order=1, mode="grid-constant")
    assert np.allclose(rotated(image, np.radians(angle)), wanted, rtol=0, atol=1e-12)


def test_rotate_draws_all_angles_equally_often() -> None:
    """The place of a pixel that turns about the centre of a large image tells its angle."""
    x = np.zeros((COUNT, 41, 41, 1))
    x[:, 19:22, 35:38] = 1
    y = augmented(Rotate(30), x)[..., 0]
    down, right = ((y * grid).sum(axis=(1, 2)) / y.sum(axis=(1, 2)) for grid in np.mgrid[-20:21, -20:21])
    angles = np.degrees(np.arctan2(-down, right))
    assert np.abs(angles).max() < 30.5 and np.abs(angles).max() > 29
    assert_even(Counter((angles // 10).clip(-3, 2).tolist()), 6)


def test_noise_is_normal() -> None:
    """The moments, the share beyond two deviations, and independent neighbours."""
    n = 200_001
    z = (augmented(Noise(0.5), np.full((1, n), 3.0)).ravel() - 3) / 0.5
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    beyond = 0.0455
    assert abs((np.abs(z) > 2).mean() - beyond) < 4 * np.sqrt(beyond / n)
    assert abs((z[1:] * z[:-1]).mean()) < 4 / np.sqrt(n)
    assert abs((z[1:] ** 2 * z[:-1] ** 2).mean() - 1) < 4 * np.sqrt(8 / n)


LAYERS = (Flip("vertical"), Shift(2), Rotate(30), Crop((3, 3)), Noise(1.0))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_other_draws_with_another_step_seed_or_layer(layer: Layer, rng: np.random.Generator) -> None:
    """And the same ones once more with the same."""
    x = rng.standard_normal((50, 5, 6, 1))
    modes = (TRAINING, Mode(True, 5, 1), Mode(True, 6), Mode(True, 5, 0, 1))
    results = [augmented(layer, x, mode).tobytes() for mode in modes]
    assert len(set(results)) == 4
    assert augmented(layer, x).tobytes() == results[0]


# ------------------------------------------------------------------------------------------------ in C


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_with_any_number_of_threads(dtype: str, rng: np.random.Generator) -> None:
    """Every kernel is large enough to be shared."""
    text = NET.format(size="24x22x3", layers=ALL, batch=64)
    models = [dslc.loads(text, threads=threads, dtype=dtype) for threads in (1, 2, 3)]
    shared = {k.operation.kind for s in models[1].plan.steps for k in s.kernels if k.parallel}
    assert {"rotate", "shift", "flip", "crop", "noise"} <= shared
    batches = [data(models[0].network, n, rng, dtype) for n in (64, 37, 1)]
    results = []
    for model in models:
        losses = [model.train_step(*batch) for batch in batches]
        weights = {name: w.tobytes() for name, w in model.copy_weights().items()}
        results.append((losses, weights, model.predict(batches[0][0]).tobytes()))
    assert np.isfinite(results[0][0]).all() and results[1] == results[0] and results[2] == results[0]


def test_prediction_sees_the_examples_themselves(rng: np.random.Generator) -> None:
    """The same weights with and without augmentation; in training the loss is another one in every step."""
    layers = "rotate(20) -> shift(2) -> flip(horizontal) -> noise(0.1)"
    model = dslc.loads(NET.format(size="8x8x1", layers=layers, batch=8))
    plain = dslc.loads(NET.format(size="8x8x1", layers="linear", batch=8))
    plain.restore_weights(model.copy_weights())
    xs, ys = data(model.network, 8, rng, "float32")
    assert np.array_equal(model.predict(xs), plain.predict(xs))
    assert model.evaluate(xs, ys) == plain.evaluate(xs, ys)
    first = model.loss(xs, ys)
    assert first != plain.loss(xs, ys) and first == model.loss(xs, ys)
    model.compiled.net.step = 1
    assert model.loss(xs, ys) != first


def test_behind_standardize(rng: np.random.Generator) -> None:
    """What comes in at the edges is zero after standardization: the mean of the training set."""
    model = dslc.loads(NET.format(size="6x6x1", layers="standardize -> shift(5)", batch=8), dtype="float64")
    x, y = rng.standard_normal((8, 6, 6, 1)) + 100, rng.standard_normal((8, 3))
    model.fit(x, y, epochs=1)
    z = augmented(Shift(5), (x - x.mean()) / x.std(), Mode(True, model.seed, model.step, 1)).reshape(8, -1)
    outputs = z @ model.parameters["dense1.weight"].numpy().T + model.parameters["dense1.bias"]
    assert model.loss(x, y) == pytest.approx(((outputs - y) ** 2).mean(), rel=1e-9)


# ------------------------------------------------------------------------------------------------ the sheet


def test_chains() -> None:
    """Two chains that have their first layer in common, and one on another input."""
    text = """net Branches {
      input a: 6x6x1
      input b: 6x6x1
      moved = a -> shift(1)
      left = moved -> flip(horizontal) -> noise(0.1) -> conv(2, 3x3)
      right = moved -> rotate(5) -> conv(2, 3x3)
      below = b -> standardize -> noise(1) -> conv(2, 3x3)
      output y = add(left, right, below)
    }"""
    found = [(chain.start.name, chain.name) for chain in chains(check_text(text))]
    assert found == [("a", "shift1, flip1, noise1"), ("a", "shift1, rotate1"), ("standardize1", "noise2")]


def test_sheet_shows_what_training_sees(rng: np.random.Generator) -> None:
    """The draws undone from their scale, against the layer on its own; the training set lies between 0 and 1."""
    text = NET.format(size="6x7x3", layers="standardize -> shift(1)", batch=4)
    network = check_text(text.replace("loss ", "precision float64\n  loss ", 1))
    x = rng.standard_normal((30, 6, 7, 3)) * [1, 5, 0.1] + [0, 9, -3]
    (part,) = sheet(network, x, 30, 2, seed=3)
    low, high = x.min(axis=(0, 1, 2)), x.max(axis=(0, 1, 2))
    assert np.allclose(part.original, (x - low) / (high - low))
    for step, drawn in enumerate(part.draws):
        z = augmented(Shift(1), (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2)), Mode(True, 3, step, 1))
        assert np.allclose(drawn, (z * x.std(axis=(0, 1, 2)) + x.mean(axis=(0, 1, 2)) - low) / (high - low))


@pytest.mark.parametrize("layer", [Shift, Rotate, Noise])
def test_only_zero_is_off(layer: type[Shift | Rotate | Noise]) -> None:
    assert layer(0).off and not layer(1).off
