"""`verify` tells rounding from faults where a gradient is exactly zero."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.layers import Mode, Reference
from dslc.layers.batchnorm import BatchNorm
from dslc.numerics import Array
from dslc.proofs.verify import Comparison, verify
from dslc.runtime.data.random import random_batch
from helpers import interpreter

pytestmark = pytest.mark.optimized
NORMALIZED = """net Normalized {
  input image: 6x6x3
  conv(4, 3x3, pad=same) -> batchnorm -> relu
  conv(4, 3x3, pad=same, groups=4, bias=off) -> batchnorm -> relu
  conv(5, 1x1) -> batchnorm
  conv(5, 2x2, groups=5) -> batchnorm -> relu
  flatten -> dense(1) -> batchnorm -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer OPTIMIZER
  batch 8
}
"""
ZERO = {
    "conv1.bias",
    "batchnorm1.gamma",
    "conv3.bias",
    "batchnorm3.gamma",
    "batchnorm3.beta",
    "conv4.bias",
    "dense1.bias",
}
"""What a normalization behind it takes back: shifts, and scales where there is a relu in between and beta is zero."""


def failing(rows: list[Comparison]) -> set[str]:
    return {row.what for row in rows if not row.ok}


def test_these_gradients_are_zero() -> None:
    """Up to the epsilon in batch norm's root and the rounding of float64; what they are sums of is not."""
    model = dslc.loads(NORMALIZED.replace("OPTIMIZER", "sgd(0.1)"), dtype="float64")
    x, y = random_batch(model.network, 8, 0)
    _, gradients, _ = interpreter(model).loss_and_gradients(x, y)
    terms = interpreter(model).randomly_weighted_gradients(x, y, np.random.default_rng(0))
    small = {name for name, g in gradients.items() if np.abs(g).max() < 1e-4 * np.abs(terms[name]).max()}
    assert small == ZERO


def test_terms_weighed_at_random_have_the_size_of_their_squares() -> None:
    """Of a bias the terms are what flows back, of weights that times what flows in: NumPy sums their squares."""
    text = (
        "net A {\n input x: 5\n dense(4) -> tanh -> dense(3)\n}\ntrain {\n loss mse\n optimizer sgd(0.1)\n batch 50\n}"
    )
    model = dslc.loads(text, dtype="float64")
    x, y = random_batch(model.network, 50, 0)
    reference = interpreter(model)
    values, flowing = reference.flow(x, y)
    last = model.network.nodes[-1]
    dy, inputs = flowing[last.output.name], values[last.inputs[0].name]
    random = np.random.default_rng(1)
    draws = [reference.randomly_weighted_gradients(x, y, random) for _ in range(2000)]
    for name, wanted in (("bias", dy**2), ("weight", dy[:, :, None] ** 2 * inputs[:, None, :] ** 2)):
        squares = np.mean([draw[f"dense2.{name}"] ** 2 for draw in draws], axis=0)
        np.testing.assert_allclose(squares, wanted.sum(axis=0), rtol=0.2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd(0.1)", "adam(0.01)"])
def test_rounding_is_no_fault(optimizer: str, dtype: str) -> None:
    rows = verify(dslc.loads(NORMALIZED.replace("OPTIMIZER", optimizer), dtype=dtype), 8)
    assert not failing(rows), [row for row in rows if not row.ok]


@pytest.mark.parametrize("name", sorted(ZERO))
def test_a_gradient_that_should_be_zero_is_still_judged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the size of its terms: one number that is off by a thousandth of it."""
    model = dslc.loads(NORMALIZED.replace("OPTIMIZER", "sgd(0.1)"))
    x, y = random_batch(model.network, 8, 0)
    terms = interpreter(model).randomly_weighted_gradients(x, y, np.random.default_rng(0))
    right = model.gradients

    def wrong(x: object, y: object) -> dict[str, np.ndarray]:
        found = right(x, y)
        found[name].flat[0] += 1e-3 * np.abs(terms[name]).max()
        return found

    monkeypatch.setattr(model, "gradients", wrong)
    assert f"gradient {name}" in failing(verify(model, 8))


ONE_ENTRY = """net One {
  input x: 4
  dense(16) -> relu
  dense(5) -> batchnorm -> relu
  dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer OPTIMIZER
  batch 5
}
"""
"""Of a mini-batch of five some biases get next to nothing, while their neighbours' gradients are large."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adam(0.01)", "rmsprop(0.01)", "adagrad(0.01)"])
def test_rounding_of_single_entries_is_no_fault(optimizer: str, dtype: str) -> None:
    for seed in range(6):
        model = dslc.loads(ONE_ENTRY.replace("OPTIMIZER", f"{optimizer}\n  seed {seed}"), dtype=dtype)
        assert not failing(verify(model, 5, seed)), seed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adam(0.01)", "sgd(0.1)"])
def test_a_step_that_does_something_else_is_a_fault(
    optimizer: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gradients` is right, and the fifth update goes by other targets."""
    model = dslc.loads(ONE_ENTRY.replace("OPTIMIZER", optimizer), dtype=dtype)
    right = model.train_step

    def wrong(x: np.ndarray, y: np.ndarray) -> float:
        return right(x, 1 - y) if model.step == 4 else right(x, y)

    monkeypatch.setattr(model, "train_step", wrong)
    assert {"after 10 steps dense1.bias", "after 10 steps dense3.bias"} <= failing(verify(model, 5))


@pytest.mark.parametrize("optimizer", ["adam(0.01)", "sgd(0.1)"])
def test_a_later_step_with_other_gradients_is_a_fault(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both `gradients` and the updates go by other targets from the fifth step on."""
    model = dslc.loads(ONE_ENTRY.replace("OPTIMIZER", optimizer))
    for name in ("train_step", "gradients"):
        right = getattr(model, name)
        monkeypatch.setattr(model, name, lambda x, y, right=right: right(x, 1 - y) if model.step >= 4 else right(x, y))
    assert {"after 10 steps dense1.bias", "after 10 steps dense3.bias"} <= failing(verify(model, 5))


def test_predictions_are_compared_after_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running averages of the beginning hide what a fault in their use would do."""
    right = BatchNorm.reference

    def wrong(self: BatchNorm, xs: tuple[Array, ...], p: dict[str, Array], mode: Mode) -> Reference:
        return right(self, xs, p if mode.training else p | {"mean": 0 * p["mean"]}, mode)

    monkeypatch.setattr(BatchNorm, "reference", wrong)
    rows = verify(dslc.loads(NORMALIZED.replace("OPTIMIZER", "sgd(0.1)")), 8)
    assert failing(rows) == {"output after 10 steps output"}
