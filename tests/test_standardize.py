"""standardize: fitted by `fit` on the training set only, once, stored with the weights, applied at prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.runtime.model import Model

NET = """net Scaled {{
  input x: {size}
  standardize -> {body} -> softmax
}}
train {{
  loss       cross_entropy
  optimizer  adam(lr=0.01)
  regularize l2(0.1)
  batch      32
  epochs     2
}}
"""


def load(size: str = "4", body: str = "dense(2)", dtype: str = "float64") -> Model:
    return dslc.loads(NET.format(size=size, body=body), dtype=dtype)


def features(rng: np.random.Generator, n: int) -> np.ndarray:
    """Far off, tiny, huge, and one that never varies."""
    x = rng.standard_normal((n, 4)) * [3, 1e-4, 1e6, 0] + [1e3, 5, -1e6, 0.1]
    return x


def test_agrees_with_numpy_on_the_training_set_only(rng: np.random.Generator) -> None:
    """More examples than are looked at in one go; the dev set is of another kind."""
    model, x, y = load(), features(rng, 9001), rng.integers(0, 2, 9001)
    model.fit(x, y, dev=(x[:50] * 7 + 1, y[:50]), epochs=1)
    std = x.std(axis=0)
    std[3] = 1
    assert np.allclose(model.parameters["standardize1.mean"], x.mean(axis=0), rtol=1e-12)
    assert np.allclose(model.parameters["standardize1.std"], std, rtol=1e-9)
    z = (x - x.mean(axis=0)) / std @ model.parameters["dense1.weight"].numpy().T + model.parameters["dense1.bias"]
    wanted = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert np.allclose(model.predict(x), wanted, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_never_varies_becomes_zero(dtype: str, rng: np.random.Generator) -> None:
    """0.1 has no exact mean: its deviation must not come out as a tiny number that is not zero."""
    model, x = load(dtype=dtype), features(rng, 5000)
    model.fit(x, rng.integers(0, 2, 5000), epochs=1)
    assert model.parameters["standardize1.mean"][3] == np.dtype(dtype).type(0.1)
    assert model.parameters["standardize1.std"][3] == 1
    assert np.isfinite(model.predict(x)).all()


def test_images_by_channel(rng: np.random.Generator) -> None:
    model = load("3x5x2", "flatten -> dense(2)")
    x = rng.standard_normal((100, 3, 5, 2)) * [2, 9] + [1, -4]
    model.fit(x, rng.integers(0, 2, 100))
    assert np.allclose(model.parameters["standardize1.mean"], x.mean(axis=(0, 1, 2)))
    assert np.allclose(model.parameters["standardize1.std"], x.std(axis=(0, 1, 2)))


def test_is_not_fitted_again(rng: np.random.Generator, tmp_path: Path) -> None:
    """Neither by a second fit nor after loading; nor does the optimizer or a regularizer touch it."""
    model, x, y = load(), features(rng, 200), rng.integers(0, 2, 200)
    model.fit(x, y)
    mean, std = (model.parameters[f"standardize1.{role}"].numpy() for role in ("mean", "std"))
    model.fit(x * 2 + 1, y)
    assert np.array_equal(model.parameters["standardize1.mean"], mean)
    model.save(tmp_path / "m.safetensors")
    other = load()
    other.load_weights(tmp_path / "m.safetensors")
    assert np.array_equal(other.predict(x), model.predict(x))
    other.fit(x * 2 + 1, y)
    assert np.array_equal(other.parameters["standardize1.mean"], mean)
    assert np.array_equal(other.parameters["standardize1.std"], std)
    assert model.gradients(x[:32], y[:32]).keys() == {"dense1.weight", "dense1.bias"}


def test_is_fitted_where_only_other_layers_were_loaded(rng: np.random.Generator, tmp_path: Path) -> None:
    model, x, y = load(), features(rng, 200), rng.integers(0, 2, 200)
    model.save(tmp_path / "m.safetensors")
    model.load_weights(tmp_path / "m.safetensors", only=["dense1"])
    model.fit(x, y)
    assert np.allclose(model.parameters["standardize1.mean"], x.mean(axis=0))
