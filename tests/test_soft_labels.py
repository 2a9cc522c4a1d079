"""cross_entropy(soft_labels=on): probabilities as targets, as PyTorch has them."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from helpers import assert_all_close, assert_close, load

NET = """net Soft {{
  input x: 4
  dense(7) -> tanh -> dense({classes}) -> softmax
}}
train {{
  loss cross_entropy({arguments})
  optimizer sgd(0.1)
  batch 16
  metrics accuracy, f1, top2, confusion
}}
"""


def soft(
    rng: np.random.Generator, arguments: str = "soft_labels=on", classes: int = 3, dtype: str = "float64"
) -> Model:
    return load(NET.format(arguments=arguments, classes=classes), rng, dtype)


def probabilities(rng: np.random.Generator, n: int, classes: int = 3) -> np.ndarray:
    y: np.ndarray = rng.dirichlet(np.full(classes, 0.5), n)
    return y


@pytest.mark.torch
@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_is_pytorchs(smoothing: float, classes: int, rng: np.random.Generator) -> None:
    """Loss and gradient of the logits, which is that of the last bias for one example."""
    torch = pytest.importorskip("torch")
    model = soft(rng, f"soft_labels=on, label_smoothing={smoothing}", classes)
    x, y = rng.standard_normal((9, 4)), probabilities(rng, 9, classes)
    logits = torch.tensor(np.log(model.predict(x)), requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y), label_smoothing=smoothing)
    loss.backward()
    assert model.loss(x, y) == pytest.approx(loss.item(), rel=1e-12)
    found = model.gradients(x, y)["dense2.bias"]
    assert_close(found, logits.grad.sum(axis=0).numpy(), 1e-11, "gradient")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_numbers_are_one_hot_rows(smoothing: float, rng: np.random.Generator) -> None:
    """Given as numbers or as rows, they train what a network without soft labels trains."""
    model = soft(rng, f"soft_labels=on, label_smoothing={smoothing}")
    rows, plain = model.copy(), soft(rng, f"label_smoothing={smoothing}")
    plain.restore_weights(model.copy_weights())
    x, y = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    for trained, targets in ((model, y), (rows, np.eye(3)[y]), (plain, y)):
        trained.fit(x, targets, (x, targets), epochs=3)
    for trained in (model, rows):
        assert_all_close(trained.copy_weights(), plain.copy_weights(), 1e-12)
        assert trained.evaluate(x, y) == pytest.approx(plain.evaluate(x, y), rel=1e-12)


def test_metrics_take_the_likeliest_class(rng: np.random.Generator) -> None:
    model = soft(rng)
    x, y = rng.standard_normal((30, 4)), probabilities(rng, 30)
    found, hard = model.evaluate(x, y), model.evaluate(x, y.argmax(axis=1))
    assert found["loss"] != pytest.approx(hard["loss"])
    for name in ("accuracy", "f1", "top2"):
        assert found[name] == hard[name]
    assert (model.confusion(x, y)["output"] == model.confusion(x, y.argmax(axis=1))["output"]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.5, 0.1], "the probabilities of example 2 add up to 1.1, not to 1"),
        ([1.2, -0.2, 0], "example 2 has a probability below 0: 1.2, -0.2, 0"),
        ([np.nan, 0.5, 0.5], "example 2 has a number that is not finite"),
    ],
)
def test_rows_that_are_no_probabilities(row: list[float], message: str, dtype: str, rng: np.random.Generator) -> None:
    """In the dtype of the network too, where arrays go to C as they are."""
    model = soft(rng, dtype=dtype)
    x, y = rng.standard_normal((5, 4)).astype(dtype), probabilities(rng, 5).astype(dtype)
    model.train_step(x, y)
    y[2] = row
    for call in (model.train_step, model.evaluate, model.fit):
        with pytest.raises(DataError, match=message):
            call(x, y)


def test_sums_within_a_ten_thousandth(rng: np.random.Generator) -> None:
    model = soft(rng)
    x = rng.standard_normal((1, 4))
    assert np.isfinite(model.loss(x, np.array([[0.3, 0.3, 0.40009]])))
    with pytest.raises(DataError, match="add up to"):
        model.loss(x, np.array([[0.3, 0.3, 0.4002]]))


def test_other_shapes_and_networks(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 4))
    with pytest.raises(DataError, match=r"expected the shape \(n, 3\) with probabilities or \(n,\) with class numbers"):
        soft(rng).evaluate(x, np.full((4, 2), 0.5))
    with pytest.raises(DataError, match="example 1 has the class 3; classes go from 0 to 2"):
        soft(rng).loss(x, np.array([0, 3, 1, 1]))
    with pytest.raises(DataError, match=r"for probabilities the loss is cross_entropy\(soft_labels=on\)"):
        soft(rng, "").fit(x, probabilities(rng, 4))


def test_words_are_labels_here_too(rng: np.random.Generator) -> None:
    model = dslc.loads(NET.format(arguments="soft_labels=on", classes=3))
    x, y = rng.standard_normal((30, 4)), np.array(["b", "c", "a"] * 10)
    model.fit(x, y, epochs=1)
    assert model.class_names == ("a", "b", "c")
    assert model.evaluate(x, y)["accuracy"] == np.mean(model.predict_classes(x) == y)
