"""specs/edges.net: fixed filters of the notes, against the notes' own example and against convolutions by others."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.runtime.model import Model
from helpers import REPO

# The 6x6 image and the 4x4 result of the lecture that the notes follow ('Edge Detection Example').
IMAGE = np.array([
    [3, 0, 1, 2, 7, 4],
    [1, 5, 8, 9, 3, 1],
    [2, 7, 2, 5, 1, 3],
    [0, 1, 3, 1, 7, 8],
    [4, 2, 1, 6, 2, 8],
    [2, 4, 5, 2, 3, 9],
])  # fmt: skip
RESULT = np.array([[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]])

FILTERS = {
    "vertical": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "sobel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "scharr": [[3, 0, -3], [10, 0, -10], [3, 0, -3]],
    "horizontal": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
}


def edges(image: np.ndarray, **params: int) -> dict[str, np.ndarray]:
    maps = dslc.load(REPO / "specs" / "edges.net", **params).predict(image[None, :, :, None])
    return {name: found[0, :, :, 0] for name, found in maps.items()}


@pytest.fixture(scope="module")
def small() -> Model:
    return dslc.load(REPO / "specs" / "edges.net")


def test_the_example_of_the_notes(small: Model) -> None:
    assert np.array_equal(small.predict(IMAGE[None, :, :, None])["vertical"][0, :, :, 0], RESULT)


@pytest.mark.parametrize(("left", "right", "height"), [(10, 0, 30), (0, 10, -30)])
def test_bright_and_dark_halves(small: Model, left: int, right: int, height: int) -> None:
    """The edge is a bright bar where the left is bright, a dark one where the right is; there is none across."""
    image = np.repeat([[left] * 3 + [right] * 3], 6, axis=0)
    found = small.predict(image[None, :, :, None])
    assert np.array_equal(found["vertical"][0, :, :, 0], [[0, height, height, 0]] * 4)
    assert np.array_equal(found["sobel"][0, :, :, 0], [[0, height * 4 // 3, height * 4 // 3, 0]] * 4)
    assert not found["horizontal"].any()


def test_against_scipy(rng: np.random.Generator) -> None:
    """All filters on an image of another size: cross-correlation as SciPy computes it, whole numbers exactly."""
    signal = pytest.importorskip("scipy.signal")
    image = rng.integers(0, 256, (17, 23)).astype(np.float64)
    found = edges(image, rows=17, columns=23)
    assert found.keys() == FILTERS.keys()
    for name, weights in FILTERS.items():
        assert np.array_equal(found[name], signal.correlate2d(image, weights, mode="valid")), name


def test_the_filters_of_scipy(rng: np.random.Generator) -> None:
    """SciPy's own Sobel and Prewitt filters, which subtract the other way round."""
    ndimage = pytest.importorskip("scipy.ndimage")
    image = rng.integers(0, 256, (9, 8)).astype(np.float64)
    found = edges(image, rows=9, columns=8)
    assert np.array_equal(found["sobel"], -ndimage.sobel(image, axis=1)[1:-1, 1:-1])
    assert np.array_equal(found["horizontal"], -ndimage.prewitt(image, axis=0)[1:-1, 1:-1])


def test_frozen_filters_stay(rng: np.random.Generator) -> None:
    """Behind a fixed filter something learns; the filter itself does not move."""
    model = dslc.loads("""
    net Learn {
      input image: 6x6x1
      conv(1, 3x3, bias=off, freeze=on, init=values(1, 0, -1, 2, 0, -2, 1, 0, -1)) -> flatten -> dense(1)
    }
    train {
      loss      mse
      optimizer sgd(lr=1e-3)
    }
    """)
    before = model.copy_weights()
    model.train_step(IMAGE[None, :, :, None], np.ones(1))
    after = model.copy_weights()
    assert np.array_equal(after["conv1.weight"][..., 0, 0], FILTERS["sobel"])
    assert not np.array_equal(after["dense1.weight"], before["dense1.weight"])
