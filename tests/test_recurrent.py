"""rnn, gru and lstm beyond their examples: many units, many steps, lengths, truncation, threads; that they learn."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.codegen.emit import emit
from dslc.compiler import check_text, plan_network
from dslc.language.diagnostics import DataError
from dslc.proofs.gradcheck import check_gradients, without_truncation
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.target import TARGETS
from helpers import REPO, assert_agrees, data, load

WIDE = """net Wide {
  input steps: 1
  input x: 9x5
  a = x -> rnn(523, truncate=4) -> gru(35, return=last, truncate=3, bidirectional=on, freeze=on)
  b = x -> lstm(33, truncate=2, bidirectional=on) -> gru(17, lengths=steps) -> lstm(40, return=last, truncate=5)
  concat(a, b) -> dense(3)
}
train {
  loss mse
  optimizer sgd(lr=0.1)
  batch 7
}
"""
"""More units than are summed in one go, vectors that are not full, and a frozen layer on the way back."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_units_and_truncation_agree_with_the_reference(dtype: str, rng: np.random.Generator) -> None:
    model = dslc.loads(WIDE, dtype=dtype, threads=2)  # a shaken state of so many units would be chaotic
    for n in (7, 4, 1):
        assert_agrees(model, n, rng)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_bit(rng: np.random.Generator) -> None:
    text = "net T { input x: 9x5\n lstm(33, bidirectional=on) -> gru(21) -> rnn(19, return=last) -> dense(3) }\n"
    text += "train { loss mse\n optimizer adam(lr=0.01)\n batch 8 }\n"
    models = [dslc.loads(text, threads=threads) for threads in (1, 2, 3)]
    assert any(k.operation.kind == "recurrence_gradient" and k.parallel for k in models[1].plan.step("train").kernels)
    for n in (8, 5, 1):
        (x, y) = (one["x" if i == 0 else "output"] for i, one in enumerate(data(models[0].network, n, rng)))
        for model in models:
            model.train_step(x, y)
        found = [model.predict(x) for model in models]
        assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    for name in models[0].parameters:
        first, *others = (model.parameters[name].numpy() for model in models)
        assert all(np.array_equal(first, other) for other in others), name


LENGTHS = """net Lengths {
  input steps: 1
  input x: 6x3
  lstm(4, bidirectional=on, lengths=steps) -> gru(5, lengths=steps) -> rnn(4, return=last, lengths=steps)
  dense(2)
}
train {
  loss mse
  optimizer sgd(lr=0.1)
  batch 4
}
"""


@pytest.fixture(scope="module")
def with_lengths() -> Model:
    return load(LENGTHS, np.random.default_rng(5))


def test_steps_beyond_the_length_change_nothing(with_lengths: Model, rng: np.random.Generator) -> None:
    xs, y = random_batch(with_lengths.network, 4, 0)
    xs["steps"] = np.array([[6.0], [0.0], [2.0], [5.0]])
    other = {**xs, "x": np.where(np.arange(6)[None, :, None] < xs["steps"][:, :, None], xs["x"], 1e3)}
    assert np.array_equal(with_lengths.predict(xs), with_lengths.predict(other))
    first, second = with_lengths.gradients(xs, y["output"]), with_lengths.gradients(other, y["output"])
    for name, gradient in first.items():
        assert np.array_equal(gradient, second[name]), name


@pytest.mark.parametrize("wrong", [-1.0, 7.0, 2.5])
def test_lengths_are_whole_numbers(with_lengths: Model, wrong: float) -> None:
    xs, _ = random_batch(with_lengths.network, 3, 0)
    xs["steps"] = np.array([[6.0], [wrong], [2.0]])
    with pytest.raises(DataError, match=r"input steps is .* in example 1.*whole numbers from 0 to 6"):
        with_lengths.predict(xs)


def test_gradcheck_leaves_truncation_out(rng: np.random.Generator) -> None:
    text = LENGTHS.replace("lengths=steps", "lengths=steps, truncate=2")
    network, cut = without_truncation(check_text(text, dtype="float64"))
    assert cut == ("lstm1", "gru1", "rnn1")
    model = Model(network)
    assert not check_gradients(model, *random_batch(network, 4, 1), 30).failures


def test_one_step(rng: np.random.Generator) -> None:
    """There is no state before the first: nothing is learned of how it is weighed."""
    model = load(LENGTHS.replace("6x3", "1x3"), rng)
    assert_agrees(model, 4, rng)


def test_rectified_units_agree_with_the_reference(rng: np.random.Generator) -> None:
    """The other formula of `rnn`, which no example of the layer has."""
    text = "net R { input x: 6x3\n rnn(5, activation=relu) -> dense(2) }\n"
    model = load(text + "train { loss mse\n optimizer sgd(lr=0.1)\n batch 4 }\n", rng)
    for n in (4, 1):
        assert_agrees(model, n, rng)


def test_many_steps_are_as_much_c_as_few() -> None:
    """The steps are a loop of C; only the tiles of products over all steps have more sizes."""
    networks = [check_text(WIDE.replace("9x5", f"{steps}x5")) for steps in (50, 3000)]
    few, many = (emit(plan_network(n, TARGETS["x86-64-v3"])).code.count("\n") for n in networks)
    assert abs(many - few) < 0.01 * few


def test_a_long_sequence_agrees_with_the_reference(rng: np.random.Generator) -> None:
    text = "net Long { input x: 500x2\n gru(5) -> lstm(6, return=last) -> dense(2) }\n"
    model = load(f"{text}train {{ loss mse\n optimizer sgd(lr=0.1)\n batch 3 }}\n", rng)
    assert_agrees(model, 3, rng)


def adding_problem(count: int, steps: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers between 0 and 1, two of them marked, and the sum of these two."""
    numbers, marks = random.random((count, steps)), np.zeros((count, steps))
    places = np.stack([random.choice(steps, 2, replace=False) for _ in range(count)])
    np.put_along_axis(marks, places, 1, axis=1)
    return np.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.trains
def test_it_learns_what_must_be_remembered() -> None:
    """The adding problem: no better than 1/6 without memory."""
    model = dslc.load(REPO / "specs" / "adding.net")
    random = np.random.default_rng(1)
    model.fit(*adding_problem(5000, 30, random))
    x, y = adding_problem(1000, 30, random)
    assert ((model.predict(x) - y) ** 2).mean() < 0.01
