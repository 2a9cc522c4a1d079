"""What a model knows of its data: labels, columns, scaling and offsets go in by name, and come out by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.schema import Schema
from dslc.runtime.model import Model

THREE = """net Three {
  input x: 2
  standardize -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.1)
  batch 8
  epochs 12
}
"""
ONE = THREE.replace("dense(3) -> softmax", "dense(1) -> sigmoid").replace("cross_entropy", "binary_cross_entropy")
NUMBER = THREE.replace("dense(3) -> softmax", "dense(1)").replace("cross_entropy", "mse")
DIGITS = """net D {
  input image: 4x4x1
  flatten -> dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
}
"""


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(60, 2))


def kinds(x: np.ndarray) -> np.ndarray:
    """Class numbers that the first feature tells."""
    return np.digitize(x[:, 0], [-0.4, 0.4])


def trained(text: str, x: Any, y: Any) -> Model:
    model = dslc.loads(text)
    model.fit(x, y)
    return model


@pytest.mark.parametrize(
    "labels",
    [["ash", "elm", "oak"], [3, 7, 9], [-5, 0, 12], [1, 2, 3], ["9", "10", "100"], np.array([10, 20, 30], np.uint8)],
)
def test_labels_in_and_out(labels: Any, x: np.ndarray, tmp_path: Path) -> None:
    """A label is no more than another name for a class number: the same bits as with numbers."""
    k = kinds(x)
    numbers, model = trained(THREE, x, k), trained(THREE, x, np.array(labels)[k])
    np.testing.assert_array_equal(model.predict(x), numbers.predict(x))
    assert model.class_names == tuple(map(str, labels)) and numbers.class_names == ("0", "1", "2")
    assert (model.predict_classes(x) == np.array(labels)[numbers.predict(x).argmax(axis=1)]).all()
    some = k != 0
    assert model.evaluate(x[some], np.array(labels)[k[some]]) == numbers.evaluate(x[some], k[some]), "without one class"
    model.save(tmp_path / "m.safetensors")
    again = dslc.loads(THREE)
    again.load_weights(tmp_path / "m.safetensors")
    assert again.class_names == model.class_names and again.schema == model.schema
    assert (again.predict_classes(x) == model.predict_classes(x)).all()


def test_a_checkpoint_keeps_the_labels(x: np.ndarray, tmp_path: Path) -> None:
    model = trained(THREE, x, np.array(["b", "a", "c"])[kinds(x)])
    model.checkpoint(tmp_path / "c")
    again = dslc.loads(THREE)
    again.resume(tmp_path / "c")
    again.fit(x, np.array(["b", "a", "c"])[kinds(x)], epochs=1)
    assert again.class_names == ("a", "b", "c")


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [0, 1], [3, 8]])
def test_a_sigmoid_tells_two_labels(labels: Any, x: np.ndarray) -> None:
    k = (x[:, 1] > 0).astype(int)
    model, numbers = trained(ONE, x, np.array(labels)[k]), trained(ONE, x, k)
    np.testing.assert_array_equal(model.predict(x), numbers.predict(x))
    assert (model.predict_classes(x) == np.array(labels)[(numbers.predict(x)[:, 0] >= 0.5).astype(int)]).all()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["ash", "elm", "oak", "fir"] * 15, r"4 labels \(ash, elm, fir, oak\) for a network that tells 3 classes"),
        ([0, 1, 2, 3] * 15, "example 3 has the class 3"),
        (["ash", None] * 30, "the class of example 1 is missing"),
        (["ash", 3.5] * 30, "the class of example 1 is 3.5 among words"),
        (np.ma.masked_array(np.zeros(60), np.arange(60) == 4), "masked in example 4"),
        (np.where(np.arange(60) == 4, np.nan, 1), "example 4: the class is missing"),
        (np.where(np.arange(60) == 4, 0.5, 1), "example 4: 0.5 is no class number"),
    ],
)
def test_labels_that_do_not_fit(y: Any, words: str, x: np.ndarray) -> None:
    with pytest.raises(DataError, match=words):
        dslc.loads(THREE).fit(x, y)


def test_fewer_labels_than_classes(x: np.ndarray) -> None:
    with pytest.warns(DataNote, match=r"2 labels \(ash, elm\) for a network that tells 3 classes"):
        model = trained(THREE, x, np.array(["ash", "elm"])[(x[:, 0] > 0).astype(int)])
    assert model.class_names == ("ash", "elm", "unused 2") and set(model.predict_classes(x)) == {"ash", "elm"}
    with pytest.warns(DataNote, match=r"1 label \(ash\) for a network"):
        Schema().check_part(check_text(THREE), x, ["ash"] * 60, "train set", anew=True)


def test_unknown_labels(x: np.ndarray) -> None:
    model = trained(THREE, x, np.array(["ash", "elm", "oak"])[kinds(x)])
    with pytest.raises(DataError, match="example 1 is of the class 'fir'; the model knows ash, elm, oak"):
        model.evaluate(x[:2], ["ash", "fir"])
    with pytest.raises(DataError, match="is of the class 0"):
        model.evaluate(x[:1], [0])
    with pytest.raises(DataError, match="the class 'ash'; the model knows 0, 1, 2"):
        trained(THREE, x, kinds(x)).evaluate(x[:1], ["ash"])


def test_what_is_too_large_is_told_once(x: np.ndarray) -> None:
    """By its example, and not by NumPy's own warning too."""
    network, y = check_text(NUMBER), x[:, 0].copy()
    large = np.where(np.arange(60) == 7, 1e39, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"input x has 1e\+39, which is too large for float32, in example 7"):
            Schema().check_part(network, np.column_stack([y, large]), y, "train set")
        with pytest.raises(DataError, match=r"target output has 1e\+39, which is too large for float32, in example 7"):
            Schema().check_part(network, x, large, "train set")


def test_none_is_told_as_missing(x: np.ndarray) -> None:
    model = dslc.loads(NUMBER)
    with pytest.raises(DataError, match="the dev set has no targets: give x and y"):
        model.fit(x, x[:, 0], dev=(x, None))
    with pytest.raises(DataError, match="input x is missing: it is None"):
        model.predict(None)


def test_words_are_no_numbers(x: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"not numbers|numbers are wanted"):
        dslc.loads(NUMBER).fit(x, ["a"] * 60)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_read_by_name(library: str, x: np.ndarray) -> None:
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"size": x[:, 0], "age": x[:, 1]})
    y = frames.Series(np.array(["ash", "elm", "oak"])[kinds(x)].tolist())
    model, plain = trained(THREE, frame, y), trained(THREE, x, kinds(x))
    assert model.feature_names == ("size", "age") and plain.feature_names is None
    np.testing.assert_array_equal(model.predict(frame), plain.predict(x))
    turned = frames.DataFrame({"age": x[:, 1], "size": x[:, 0]})
    np.testing.assert_array_equal(model.predict(turned), plain.predict(x))
    assert model.evaluate(turned, y) == plain.evaluate(x, kinds(x))
    with pytest.warns(DataNote, match="not looked at: the column 'more'"):
        model.predict(frames.DataFrame({"more": x[:, 1], "age": x[:, 1], "size": x[:, 0]}))
    with pytest.raises(DataError, match="lacks the column 'age'"):
        model.predict(frames.DataFrame({"size": x[:, 0]}))
    with pytest.raises(DataError, match="column 'age' holds 'old' in row 0"):
        model.predict(frames.DataFrame({"age": ["old"] * 60, "size": x[:, 0]}))
    gap = frames.DataFrame({"age": [1, None, 2], "size": [1, 2, 3]})
    gap = gap.astype("Int64") if library == "pandas" else gap
    with pytest.raises(DataError, match=r"'age' is missing in row 1|not finite .* in example 1"):
        model.predict(gap)


@pytest.mark.parametrize("how", ["numpy.ma", "pandas", "polars", "None", "NaN"])
def test_missing_targets_do_not_count(how: str, x: np.ndarray) -> None:
    """By the formula: the mean of the squares over those that are there."""
    y, gone = x @ [1.0, 2.0], np.arange(60) % 7 == 3
    given: Any = np.where(gone, np.nan, y)
    if how == "numpy.ma":
        given = np.ma.masked_array(np.where(gone, -9999, y), gone)
    elif how != "NaN":
        given = [None if g else float(v) for g, v in zip(gone, y, strict=True)]
    if how == "pandas":
        given = pytest.importorskip("pandas").array(given, dtype="Float64")
        given = pytest.importorskip("pandas").Series(given)
    elif how == "polars":
        given = pytest.importorskip("polars").Series(given)
    model = dslc.loads(NUMBER)
    model.fit(x, given, epochs=2)
    error = (model.predict(x)[:, 0] - y)[~gone]
    assert model.evaluate(x, given)["loss"] == pytest.approx(float((error**2).mean()), rel=1e-5)


def test_masked_inputs_are_refused(x: np.ndarray) -> None:
    mask = np.zeros(x.shape, bool)
    mask[5, 1] = True
    model = dslc.loads(NUMBER)
    model.fit(x + 1e7, np.zeros(60), epochs=1)
    assert model.schema.offsets
    for one in (dslc.loads(NUMBER), model):
        with pytest.raises(DataError, match="input x is masked in example 5"):
            one.predict(np.ma.masked_array(x, mask))


@pytest.mark.parametrize(("center", "spread"), [(1.7e9, 3600.0), (1e6, 0.5), (-3e12, 1e4)])
def test_large_numbers_are_standardized_before_they_are_rounded(
    center: float, spread: float, rng: np.random.Generator, tmp_path: Path
) -> None:
    """What the network gets is (x - mean) / deviation of float64 to float32's precision, also after saving."""
    x = np.column_stack([center + rng.uniform(0, spread, 50), rng.normal(size=50)])
    model = dslc.loads(NUMBER)
    model.fit(x, np.zeros(50), epochs=1)
    weight, bias = (model.parameters[f"dense1.{role}"].numpy().astype(float) for role in ("weight", "bias"))
    right = ((x - x.mean(axis=0)) / x.std(axis=0)) @ weight.T.reshape(2, 1) + bias
    np.testing.assert_allclose(model.predict(x), right, atol=5e-6)
    model.save(tmp_path / "m.safetensors")
    again = dslc.loads(NUMBER)
    again.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_rule_of_scaling(dtype: Any, rng: np.random.Generator) -> None:
    """Stored images are divided by the largest number of their type, in rows and columns or as rows of pixels."""
    most = np.iinfo(dtype).max
    stored = rng.integers(0, most, (9, 4, 4), dtype, endpoint=True)
    model = dslc.loads(DIGITS)
    expected = model.predict(stored.astype(np.float64) / most)
    for given in (stored, stored[..., None], stored.reshape(9, 16)):
        np.testing.assert_allclose(model.predict(given), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(stored.astype(np.int64)), model.predict(stored.astype(np.float32)))
    model.schema = Schema(scale=False)
    np.testing.assert_array_equal(model.predict(stored), model.predict(stored.astype(np.float32)))


def test_scaling_is_noted(rng: np.random.Generator) -> None:
    with pytest.warns(DataNote, match="images of 8 bits are divided by 255"):
        dslc.loads(DIGITS).fit(rng.integers(0, 9, (8, 4, 4), np.uint8), np.zeros(8, int), epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataNote)
        dslc.loads(DIGITS).fit(rng.random((8, 4, 4)), np.zeros(8, int), epochs=1)


def test_metadata_that_are_broken() -> None:
    schema = Schema(features={"x": ("a", "b")}, offsets={"x": (1.5, 0.1)}, resize=(2, 3))
    assert Schema.from_json(schema.to_json()) == schema
    for text in ("", "{}", "[]", '{"classes": 3}'):
        with pytest.raises(DataError, match="not understood"):
            Schema.from_json(text)
