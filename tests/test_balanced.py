"""class_weights=balanced: by how often each class occurs in the training set, as scikit-learn has it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.runtime.data.examples import DataNote
from helpers import FORWARD, assert_agrees, assert_all_close, assert_close, load

NET = """net Rare {{
  input x: 4
  dense(7) -> tanh -> dense(3{frozen}) -> {last}
}}
train {{
  loss {loss}(class_weights={weights})
  optimizer sgd(0.1)
  batch 8
}}
"""
LOSSES = {"cross_entropy": ("softmax", "softmax1"), "hinge": ("linear", "linear1")}


def rare(loss: str = "cross_entropy", weights: str = "balanced", frozen: str = "") -> str:
    return NET.format(loss=loss, last=LOSSES[loss][0], weights=weights, frozen=frozen)


def examples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((40, 4)), np.repeat([0, 1, 2], [25, 12, 3])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_agrees_with_the_interpreter(loss: str, dtype: str, rng: np.random.Generator) -> None:
    model = load(rare(loss), rng, dtype)
    model.parameters[f"{LOSSES[loss][1]}.output_class_weights"] = np.array([0.5, 2, 4])
    for n in (8, 3):
        assert_agrees(model, n, rng)


@pytest.mark.filterwarnings("ignore::dslc.runtime.data.examples.DataNote")
@pytest.mark.parametrize("loss", LOSSES)
def test_is_scikit_learns(loss: str, rng: np.random.Generator) -> None:
    """The weights, also with sample weights; training is that with the same numbers in the file."""
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    x, y = examples(rng)
    wanted = compute("balanced", classes=np.arange(3), y=y)
    model = dslc.loads(rare(loss), dtype="float64")
    plain = dslc.loads(rare(loss, f"({', '.join(map(repr, wanted.tolist()))})"), dtype="float64")
    history, other = model.fit(x, y, (x, y), 3), plain.fit(x, y, (x, y), 3)
    found = model.copy_weights()
    assert_close(found.pop(f"{LOSSES[loss][1]}.output_class_weights"), wanted, 1e-12, "class weights")
    assert_all_close(found, plain.copy_weights(), 1e-12)
    assert history.to_dict()["dev_loss"] == pytest.approx(other.to_dict()["dev_loss"], rel=1e-12)
    w = rng.integers(0, 4, 40)
    w[-1] = 1
    weighed = dslc.loads(rare(loss), dtype="float64")
    weighed.fit(x, y, epochs=1, sample_weight=w)
    repeated = compute("balanced", classes=np.arange(3), y=np.repeat(y, w))
    assert_close(weighed.parameters[f"{LOSSES[loss][1]}.output_class_weights"].numpy(), repeated, 1e-12, "weighed")


def test_the_note_and_a_class_that_does_not_occur(rng: np.random.Generator) -> None:
    x, y = examples(rng)
    model = dslc.loads(rare())
    with pytest.warns(DataNote, match="target output: the balanced weights of classes 0, 1, ... are 0.74, 1.542, 1"):
        model.fit(x[:37], y[:37], epochs=1)
    assert np.isfinite(model.evaluate(x, y)["loss"])


def test_they_are_kept(tmp_path: Path, rng: np.random.Generator) -> None:
    """In a weights file and in a checkpoint; a training that goes on does not fit them anew."""
    x, y = examples(rng)
    model = dslc.loads(rare())
    with pytest.warns(DataNote):
        model.fit(x, y, epochs=2)
    model.save(tmp_path / "w.safetensors")
    model.checkpoint(tmp_path / "c.safetensors")
    kept = model.parameters["softmax1.output_class_weights"].numpy()
    loaded, resumed = dslc.loads(rare()), dslc.loads(rare())
    loaded.load_weights(tmp_path / "w.safetensors")
    assert loaded.evaluate(x, y) == model.evaluate(x, y)
    resumed.resume(tmp_path / "c.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataNote)
        resumed.fit(x[:30], y[:30], epochs=1)
    assert_close(resumed.parameters["softmax1.output_class_weights"].numpy(), kept, FORWARD["float64"], "kept")


@pytest.mark.filterwarnings("ignore::dslc.runtime.data.examples.DataNote")
def test_a_frozen_last_layer_stays_frozen(rng: np.random.Generator) -> None:
    x, y = examples(rng)
    model = dslc.loads(rare("hinge", frozen=", freeze=on"))
    before = model.parameters["dense2.weight"].numpy().copy()
    model.fit(x, y, epochs=1)
    assert (model.parameters["dense2.weight"].numpy() == before).all()
