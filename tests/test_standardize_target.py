"""`standardize_target on`: a network of numbers learns standardized targets and answers in their own unit."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.language.diagnostics import SpecError
from dslc.runtime.data.examples import DataNote
from helpers import FORWARD, assert_agrees, assert_all_close, assert_close, load

NET = """net Prices {{
  input x: 3
  {layers}
}}
train {{
  loss {loss}
  optimizer sgd(0.05)
  batch {batch}
  metrics mae, rmse
  {more}
}}
"""
LOSSES = ("mse", "mae", "huber(delta=0.5)")


def prices(loss: str = "mse", units: int = 2, batch: str = "16", switch: str = "on", last: str = "") -> str:
    layers = f"dense(5) -> tanh -> dense({units}){last}"
    return NET.format(layers=layers, loss=loss, batch=batch, more=f"standardize_target {switch}")


def examples(rng: np.random.Generator, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Prices in the hundred thousands, and areas below one."""
    x = rng.standard_normal((n, 3))
    y = np.column_stack([3e5 + 5e4 * (x[:, 0] + 0.1 * rng.standard_normal(n)), 0.3 + 0.01 * x[:, 1] * x[:, 2]])
    return x, y


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_agrees_with_the_interpreter(loss: str, dtype: str, rng: np.random.Generator) -> None:
    """With a mean and a deviation other than 0 and 1, in prediction, loss, gradients and a step."""
    model = load(prices(loss), rng, dtype)
    model.parameters["output_unit.mean"] = np.array([3.0, -0.25])
    model.parameters["output_unit.std"] = np.array([2.5, 0.5])
    for n in (16, 5, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("loss", LOSSES)
def test_is_training_on_standardized_targets(loss: str, rng: np.random.Generator) -> None:
    """The same network without it, given targets standardized beforehand: the same weights and loss, predictions and
    errors times the deviation; also with missing targets, sample weights, and a dev set."""
    x, y = examples(rng)
    y[3, 0] = y[5, 1] = np.nan
    w = rng.integers(0, 3, 40)
    model, plain = dslc.loads(prices(loss), dtype="float64"), dslc.loads(prices(loss, switch="off"), dtype="float64")
    assert "output_unit.mean" not in plain.parameters
    counted = np.repeat(y, w, axis=0)
    mean, std = np.nanmean(counted, axis=0), np.nanstd(counted, axis=0)
    mine = model.fit(x, y, (x, y, w), 3, sample_weight=w)
    its = plain.fit(x, (y - mean) / std, (x, (y - mean) / std, w), 3, sample_weight=w)
    found = model.copy_weights()
    assert_close(found.pop("output_unit.mean"), mean, 1e-12, "mean")
    assert_close(found.pop("output_unit.std"), std, 1e-9, "std")
    assert_all_close(found, plain.copy_weights(), 1e-9)
    for a, b in zip(mine.records, its.records, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-9)
        assert a["dev_loss"] == pytest.approx(b["dev_loss"], rel=1e-9)
    wanted = plain.predict(x) * std + mean
    assert_close(model.predict(x), wanted, 1e-9, "predictions")
    errors = np.abs(wanted - y)[~np.isnan(y)]
    assert model.evaluate(x, y)["mae"] == pytest.approx(errors.mean(), rel=1e-9)
    assert model.evaluate(x, y)["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_mini_batches_in_slices(loss: str, rng: np.random.Generator) -> None:
    """As the interpreter, and the training of whole mini-batches, also with missing targets and sample weights."""
    x, y = examples(rng)
    y[3, 0] = y[5, 1] = np.nan
    w = rng.integers(0, 3, 40)
    sliced, whole = (dslc.loads(prices(loss, batch=batch), dtype="float64") for batch in ("16 in 4", "16"))
    for n in (16, 13, 3):
        assert_agrees(sliced, n, rng)
    sliced, whole = (dslc.loads(prices(loss, batch=batch), dtype="float64") for batch in ("16 in 4", "16"))
    mine, its = (model.fit(x, y, (x, y, w), 3, sample_weight=w) for model in (sliced, whole))
    assert_all_close(sliced.copy_weights(), whole.copy_weights(), 1e-9)
    assert mine.records[-1]["dev_loss"] == pytest.approx(its.records[-1]["dev_loss"], rel=1e-9)


def test_it_makes_raw_prices_learnable(rng: np.random.Generator) -> None:
    x, y = examples(rng, 200)
    model = dslc.loads(prices(units=1))
    model.fit(x, y[:, 0], epochs=60)
    assert model.evaluate(x, y[:, 0])["rmse"] < 0.4 * y[:, 0].std()


def test_saved_weights_predict_right_in_a_new_process(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = examples(rng)
    (tmp_path / "prices.net").write_text(prices())
    model = dslc.load(tmp_path / "prices.net")
    model.fit(x, y, epochs=2)
    model.save(tmp_path / "w.safetensors")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "wanted.npy", model.predict(x))
    code = (
        "import dslc, numpy as np; m = dslc.load('prices.net'); m.load_weights('w.safetensors');"
        "assert (m.predict(np.load('x.npy')) == np.load('wanted.npy')).all()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_a_resumed_training_keeps_the_unit(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = examples(rng)
    whole, first, second = (dslc.loads(prices()) for _ in range(3))
    whole.fit(x, y, epochs=4)
    first.fit(x, y, epochs=2)
    first.checkpoint(tmp_path / "c.safetensors")
    second.resume(tmp_path / "c.safetensors")
    second.fit(x, y, epochs=2)
    wanted = whole.copy_weights()
    assert all((a == wanted[name]).all() for name, a in second.copy_weights().items())


def test_images_and_several_heads(rng: np.random.Generator) -> None:
    """One mean for each channel; a head of classes is left alone."""
    text = """net Both {
  input image: 4x5x1
  h = image -> conv(3, 3x3, pad=same) -> tanh
  output depth = h -> conv(2, 1x1)
  output kind = h -> flatten -> dense(3) -> softmax
}
train {
  loss depth: mse
  loss kind: cross_entropy
  optimizer sgd(0.01)
  standardize_target on
}
"""
    model = load(text, rng)
    model.parameters["depth_unit.mean"], model.parameters["depth_unit.std"] = np.array([1, -2]), np.array([0.5, 3])
    assert_agrees(model, 6, rng)
    fresh = dslc.loads(text)
    y = {"depth": rng.standard_normal((9, 4, 5, 2)) * [3, 1] + [5, 7], "kind": rng.integers(0, 3, 9)}
    fresh.fit(rng.standard_normal((9, 4, 5, 1)), y, epochs=1)
    assert_close(fresh.parameters["depth_unit.std"].numpy(), y["depth"].std(axis=(0, 1, 2)), FORWARD["float32"], "std")


def test_a_head_of_training_alone_stays_one() -> None:
    text = prices().replace("dense(5)", "h = x -> dense(5)\n  output a = h -> dense(2) train_only\n  output b = h")
    network = check_text(text.replace("loss mse", "loss a: mse\n  loss b: mae"))
    assert [(head.name, head.train_only) for head in network.heads] == [("b", False), ("a", True)]


def test_a_constant_target_is_shifted_with_a_note(rng: np.random.Generator) -> None:
    x, y = examples(rng)
    y[:, 1] = 0.1
    model = dslc.loads(prices())
    with pytest.warns(DataNote, match=r"target output, number 1 \(counted from 0\) is always 0.1: it has no deviation"):
        model.fit(x, y, epochs=1)
    assert model.parameters["output_unit.std"].numpy()[1] == 1
    assert np.isfinite(model.predict(x)).all()


def test_targets_far_from_zero_are_noted(rng: np.random.Generator) -> None:
    """Seconds since 1970: float32 tells only every 128th apart."""
    x, y = examples(rng)
    y[:, 0] = 1.7e9 + 1000 * x[:, 0]
    with pytest.warns(DataNote, match="deviations from 0: float32 rounds it, float64 does not"):
        dslc.loads(prices()).fit(x, y, epochs=1)
    model = dslc.loads(prices(), dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, y, epochs=80)
    assert model.evaluate(x, y[:, :])["loss"] < 1


def test_misuse_is_an_error() -> None:
    with pytest.raises(SpecError, match="standardize_target has no effect: no output predicts numbers"):
        dslc.loads(prices("cross_entropy", last=" -> softmax").replace("metrics mae, rmse", ""))
    with pytest.raises(SpecError, match="'output' ends in relu, which cannot reach them"):
        dslc.loads(prices(last=" -> relu"))
