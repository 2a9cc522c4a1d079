"""Parts of a network that share its parameters, gradients of inputs, and results of layers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from helpers import REPO, assert_close

PAGE = (REPO / "docs" / "parts.md").read_text("utf-8")
TEXT = """net Inside {
  input x: 5x4x2
  flip(horizontal) -> conv(3, 3x3) -> batchnorm -> tanh -> dropout(0.5)
  flatten -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(0.01)
  regularize l2(0.3)
  batch     6
}
"""


@pytest.fixture(scope="module")
def model() -> Model:
    """After a step, so that running averages are no longer the initial ones."""
    model = dslc.loads(TEXT, dtype="float64")
    model.train_step(*examples())
    return model


def examples() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return random.standard_normal((6, 5, 4, 2)), random.integers(0, 3, 6)


@pytest.mark.slow
def test_the_gan_of_the_page_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all of its models end with the same parameters, of which each trained its own."""
    spec, code = re.findall(r"```(?:net|python)\n(.*?)```", PAGE, re.S)[:2]
    (tmp_path / "gan.net").write_text(spec)
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(code, found)
    made, real = found["made"], found["real"](2000)  # type: ignore[operator]
    assert isinstance(made, np.ndarray)
    assert np.abs(made.mean(axis=0) - real.mean(axis=0)).max() < 0.2
    assert np.abs(made.std(axis=0) - real.std(axis=0)).max() < 0.2
    gan, judge, forger, maker = (found[name] for name in ("gan", "judge", "forger", "maker"))
    assert (
        isinstance(gan, Model) and isinstance(judge, Model) and isinstance(forger, Model) and isinstance(maker, Model)
    )
    whole = gan.copy_weights()
    for part in (judge, forger, maker):
        assert part.copy_weights().keys() <= whole.keys()
        assert all(np.array_equal(array, whole[name]) for name, array in part.copy_weights().items())
    x = np.ones((3, 2), np.float32)
    assert_close(judge.predict(maker.predict(x)), gan.predict(x), 1e-5, "judged")
    fresh = dslc.load("gan.net").copy_weights()
    judge.train_step(x, np.ones((3, 1), np.float32))
    after = gan.copy_weights()
    changed = {name for name in whole if not np.array_equal(after[name], whole[name])}
    assert changed == {name for name in whole if name.startswith("judge")}
    assert not any(np.array_equal(array, whole[name]) for name, array in fresh.items())


def test_results_of_layers(model: Model) -> None:
    x, _ = examples()
    found = model.predict(x, layers=["dense1", "softmax1"])
    assert list(found) == ["dense1", "softmax1"]
    exact = np.exp(found["dense1"]) / np.exp(found["dense1"]).sum(axis=1, keepdims=True)
    assert_close(found["softmax1"], exact, 1e-12, "softmax")
    assert_close(found["softmax1"], model.predict(x), 1e-12, "output")
    with pytest.raises(DataError, match="no layer or output 'dense2'; did you mean 'dense1'"):
        model.predict(x, layers=["dense2"])


def test_gradients_of_inputs_are_slopes_of_the_loss_at_prediction(model: Model) -> None:
    x, y = examples()

    def losses(x: np.ndarray) -> np.ndarray:
        return -np.log(model.predict(x)[np.arange(6), y])

    found, slopes = model.input_gradients(x, y), np.zeros_like(x)
    for place in np.ndindex(5, 4, 2):
        step = np.zeros_like(x)
        step[(slice(None), *place)] = 1e-6
        slopes[(slice(None), *place)] = (losses(x + step) - losses(x - step)) / 2e-6
    assert_close(found, slopes, 1e-7, "gradient")
    assert (losses(x + 0.05 * np.sign(found)) > losses(x)).all(), "the fast gradient sign method fools the network"


def test_what_has_no_parts(model: Model) -> None:
    with pytest.raises(DataError, match="does not depend on softmax1"):
        model.part("dense1", start="softmax1")
    averaged = dslc.loads(TEXT.replace("  batch ", "  average ema(0.9)\n  batch "))
    with pytest.raises(DataError, match="average"):
        averaged.part("output")
    with pytest.raises(DataError, match="cuts the images"):
        dslc.loads(TEXT.replace("flip(horizontal)", "crop(4x4)")).input_gradients(*examples())


def test_gradients_of_inputs_beside_lengths_and_words() -> None:
    """Central differences of the loss by each number; lengths have no gradient, and words alone are refused."""
    train = "train {\n  loss cross_entropy\n  optimizer sgd(0.1)\n  batch 4\n  precision float64\n}\n"
    end = "dense(2) -> softmax\n}\n"
    net = "net Read {\n  input t: 3x2\n  input n: 1\n  t -> gru(3, lengths=n, return=last) -> "
    model, draw = dslc.loads(net + end + train), np.random.default_rng(0)
    x = {"t": draw.standard_normal((2, 3, 2)), "n": np.array([[3.0], [2.0]])}
    y, step = np.array([0, 1]), 1e-5
    found = model.input_gradients(x, y)
    assert not found["n"].any() and not found["t"][1, 2].any()
    for i in np.ndindex(2, 3, 2):
        losses = []
        for sign in (1, -1):
            moved = x["t"].copy()
            moved[i] += sign * step
            one = slice(i[0], i[0] + 1)
            losses.append(model.evaluate({"t": moved[one], "n": x["n"][one]}, y[one])["loss"])
        assert abs((losses[0] - losses[1]) / (2 * step) - found["t"][i]) < 1e-8
    words = dslc.loads("net Words {\n  input t: 3\n  t -> embedding(5, 2) -> flatten -> " + end + train)
    with pytest.raises(DataError, match="whole numbers have no gradient"):
        words.input_gradients(np.ones((2, 3)), y)
    assert words.predict(np.ones((2, 3)), layers=[]) == {}
    assert list(words.predict(np.ones((2, 3)), layers="dense1")) == ["dense1"]
