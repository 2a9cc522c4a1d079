"""Sample weights: as if examples were repeated, in loss, gradients, steps, `fit` and metrics."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
import dslc.losses
import dslc.optimizers
from dslc import registry
from dslc.language.diagnostics import DataError
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.runtime.metrics import head_metrics
from dslc.runtime.model import Model
from helpers import FORWARD, Arrays, assert_all_close, assert_close, data, interpreter, load

LOSSES = registry.every(dslc.losses, Loss)
OTHERS = ("formula", "ctc", "pixel_cross_entropy", "step_cross_entropy")
"""Those of images and sequences are in tests/test_losses.py and tests/test_ctc.py."""
TEXTS = [
    *(
        name for name in LOSSES if not (LOSSES[name].pixels or LOSSES[name].sequences or name == "formula")
    ),  # of images: tests/test_losses.py
    "formula((y - t)^2 * 0.5)",
    "cross_entropy(label_smoothing=0.1, class_weights=(1, 2, 0.5, 0, 3), weight=0.4)",
    "hinge(class_weights=(1, 2, 0.5, 0, 3))",
    "mse(weight=0.3)",
    "cross_entropy(soft_labels=on, label_smoothing=0.1)",
]
OPTIMIZERS = [optimizer.examples[0] for optimizer in registry.every(dslc.optimizers, Optimizer).values()]
COUNTS = np.array([2, 0, 1, 3, 1, 0, 1])
"""How often each of seven examples is there; fourteen times that is one mini-batch."""

NET = """net Weighed {{
  input x: 4
  {first}dense(7) -> tanh -> dense({units}) -> {last}
}}
train {{
  loss {loss}
  optimizer {optimizer}
  regularize l2(0.3), l1(0.02)
  batch {batch}
}}
"""
TWO_HEADS = """net Two {
  input x: 4
  h = x -> dense(7) -> tanh
  output kind = h -> dense(3) -> softmax
  output size = h -> dense(2) -> linear
}
train {
  loss kind: cross_entropy(weight=0.5)
  loss size: mse
  optimizer sgd(0.1)
  regularize l2(0.1)
  batch 5
}
"""


def weighed(
    rng: np.random.Generator,
    loss: str = "cross_entropy",
    optimizer: str = "sgd(0.1)",
    dtype: str = "float64",
    units: int = 5,
    batch: int = 16,
    first: str = "",
    threads: int = 1,
) -> Model:
    last = LOSSES[loss.partition("(")[0]].through or "linear"
    text = NET.format(loss=loss, optimizer=optimizer, units=units, last=last, batch=batch, first=first)
    return load(text, rng, dtype, threads)


def repeated(arrays: Arrays, counts: np.ndarray) -> Arrays:
    return {name: np.repeat(array, counts, axis=0) for name, array in arrays.items()}


def with_gaps(ys: Arrays, rng: np.random.Generator) -> Arrays:
    """Some real targets missing."""
    return {
        n: y if y.dtype.kind == "i" or np.allclose(y.sum(axis=1), 1) else np.where(rng.random(y.shape) < 0.2, np.nan, y)
        for n, y in ys.items()
    }


# ------------------------------------------------------------------------------------------- the mini-batch


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("units", [5, 70])
@pytest.mark.parametrize("text", [t for t in TEXTS if "class_weights" not in t])
def test_agrees_with_the_interpreter(text: str, units: int, dtype: str, rng: np.random.Generator) -> None:
    """Fractional weights, one of them zero, with missing targets; outputs of several widths, each another kernel."""
    classes = LOSSES[text.partition("(")[0]].classes
    for width in (units, 1) if units == 5 and not classes else (units,):
        model = weighed(rng, text, dtype=dtype, units=width)
        for n in (16, 5):
            xs, ys = data(model.network, n, rng, dtype)
            ys = with_gaps(ys, rng)
            w = rng.uniform(0.1, 3, n).astype(dtype).astype(np.float64)
            w[2] = 0
            reference = interpreter(model)
            loss, gradients, _ = reference.loss_and_gradients(xs, ys, w)
            assert_close(model.loss(xs, ys, w), loss, FORWARD[dtype], "loss")
            assert_all_close(model.gradients(xs, ys, w), gradients, FORWARD[dtype])
            model.train_step(xs, ys, w)
            reference.train_step(xs, ys, model.learning_rate(0), w)
            assert_all_close(model.copy_weights(), reference.parameters, FORWARD[dtype])


@pytest.mark.parametrize("text", TEXTS)
def test_is_as_if_examples_were_repeated(text: str, rng: np.random.Generator) -> None:
    model = weighed(rng, text)
    xs, ys = data(model.network, len(COUNTS), rng)
    if not LOSSES[text.partition("(")[0]].classes:
        ys["output"][0, 1] = ys["output"][3, 0] = np.nan
    many = repeated(xs, COUNTS), repeated(ys, COUNTS)
    assert model.loss(xs, ys, COUNTS) == pytest.approx(model.loss(*many), rel=1e-12)
    assert_all_close(model.gradients(xs, ys, COUNTS), model.gradients(*many), 1e-12)
    assert model.evaluate(xs, ys, COUNTS) == pytest.approx(model.evaluate(*many), rel=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_as_if_examples_were_repeated(optimizer: str, rng: np.random.Generator) -> None:
    """Ten epochs, standardized inputs and the dev set's loss too."""
    first = "standardize -> "
    model = weighed(rng, optimizer=optimizer, first=first)
    twin = model.copy()
    xs, ys = data(model.network, len(COUNTS), rng)
    dev = tuple(a["x" if a is xs else "output"] for a in (xs, ys))
    history = model.fit(xs, ys, (*dev, COUNTS[::-1]), 10, sample_weight=COUNTS)
    backwards = tuple(np.repeat(a, COUNTS[::-1], axis=0) for a in dev)
    other = twin.fit(repeated(xs, COUNTS), repeated(ys, COUNTS), backwards, 10)
    assert_all_close(model.copy_weights(), twin.copy_weights(), 1e-10)
    for mine, its in zip(history.records, other.records, strict=True):
        for name in ("loss", "penalty", "dev_loss", "dev_accuracy"):
            assert mine[name] == pytest.approx(its[name], rel=1e-10), name
    assert history.best_epoch == other.best_epoch


def test_several_heads_and_small_batches(rng: np.random.Generator) -> None:
    """Mini-batches of 5, 5 and 3 in the order of the epoch, against the interpreter: the weights go with their
    examples."""
    model = load(TWO_HEADS, rng)
    xs, ys = data(model.network, 13, rng)
    ys["size"][4] = np.nan
    w = rng.uniform(0.5, 2, 13)
    reference = interpreter(model)
    order = np.random.Generator(np.random.Philox(key=[model.seed, 1 << 32])).permutation(13)
    for i in range(0, 13, 5):
        at = order[i : i + 5]
        part = {"x": xs["x"][at]}, {name: y[at] for name, y in ys.items()}
        reference.train_step(*part, model.learning_rate(0), w[at])
    model.fit(xs, ys, epochs=1, sample_weight=w)
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)


def test_evaluate_in_several_batches(rng: np.random.Generator) -> None:
    """More examples than a mini-batch holds, the weights of a whole one zero."""
    model = load(TWO_HEADS, rng)
    xs, ys = data(model.network, 23, rng)
    w = rng.integers(0, 4, 23)
    w[5:10] = 0
    many = repeated(xs, w), repeated(ys, w)
    assert model.evaluate(xs, ys, w) == pytest.approx(model.evaluate(*many), rel=1e-12)
    assert (model.confusion(xs, ys, w)["kind"] == model.confusion(*many)["kind"]).all()


def test_ones_are_the_same_bits(rng: np.random.Generator) -> None:
    model = weighed(rng, "cross_entropy(label_smoothing=0.1)", dtype="float32", batch=3)
    twin = model.copy()
    xs, ys = data(model.network, 16, rng, "float32")
    model.fit(xs, ys, epochs=3)
    twin.fit(xs, ys, epochs=3, sample_weight=np.ones(16))
    assert all((a == twin.copy_weights()[name]).all() for name, a in model.copy_weights().items())


def test_an_example_of_weight_zero_does_not_count(rng: np.random.Generator) -> None:
    """In `fit` not even for the statistics of standardize and batchnorm, nor in the size of the mini-batches."""
    text = NET.format(
        loss="mse",
        optimizer="sgd(0.01)",
        units=2,
        last="linear",
        batch=3,
        first="standardize -> dense(3) -> batchnorm -> ",
    )
    model = dslc.loads(text, dtype="float32")
    twin = model.copy()
    x, y = rng.standard_normal((8, 4)).astype(np.float32), rng.standard_normal((8, 2)).astype(np.float32)
    x[3], y[3] = 1e30, 1e38
    w = np.ones(8)
    w[3] = 0
    model.fit(x, y, epochs=2, sample_weight=w)
    twin.fit(np.delete(x, 3, 0), np.delete(y, 3, 0), epochs=2)
    assert all((a == twin.copy_weights()[name]).all() for name, a in model.copy_weights().items())


def test_an_infinite_loss_of_weight_zero_does_not_count(rng: np.random.Generator) -> None:
    model = weighed(rng, "mse", dtype="float32", units=2)
    x, y = rng.standard_normal((3, 4)), np.array([[1, 2], [1e38, 1], [0, 1]])
    assert np.isfinite(model.loss(x, y, [1, 0, 2])) and not np.isfinite(model.loss(x, y))
    assert all(np.isfinite(g).all() for g in model.gradients(x, y, [1, 0, 2]).values())
    assert np.isfinite(model.evaluate(x, y, [1, 0, 2])["loss"])


def test_threads_give_the_same_bits(rng: np.random.Generator) -> None:
    """With work that is worth sharing."""
    results = []
    for threads in (1, 2):
        rng = np.random.default_rng(3)
        model = weighed(rng, "mse", dtype="float32", units=3000, batch=40, threads=threads)
        xs, ys = data(model.network, 40, rng, "float32")
        losses = [model.train_step(xs, ys, rng.uniform(0, 2, 40)) for _ in range(3)]
        results.append((losses, {name: a.tobytes() for name, a in model.copy_weights().items()}))
    assert results[0] == results[1]


# ------------------------------------------------------------------------------------------- metrics


def test_metrics_of_classes_are_scikit_learns(rng: np.random.Generator) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    model = weighed(rng)
    names = ("accuracy", "precision", "recall", "f1", "top2")
    output, target, w = rng.random((60, 5)), rng.integers(0, 5, 60), rng.uniform(0.1, 2, 60)
    found = head_metrics(model.network.heads[0], output, target, names, w)
    predicted = output.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(scores.accuracy_score(target, predicted, sample_weight=w), rel=1e-12)
    for name in names[1:4]:
        wanted = getattr(scores, f"{name}_score")(target, predicted, average="macro", sample_weight=w)
        assert found[name] == pytest.approx(wanted, rel=1e-12), name
    wanted = scores.top_k_accuracy_score(target, output, k=2, sample_weight=w)
    assert found["top2"] == pytest.approx(wanted, rel=1e-12)


def test_metrics_of_yes_and_no_are_scikit_learns(rng: np.random.Generator) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    head = weighed(rng, "binary_cross_entropy", units=1).network.heads[0]
    output, target, w = rng.random((60, 1)), rng.integers(0, 2, (60, 1)).astype(float), rng.uniform(0.1, 2, 60)
    target[::7] = np.nan
    names = ("accuracy", "precision", "recall", "f1")
    found, there = head_metrics(head, output, target, names, w), ~np.isnan(target[:, 0])
    for name in names:
        wanted = getattr(scores, f"{name}_score")(target[there], output[there] >= 0.5, sample_weight=w[there])
        assert found[name] == pytest.approx(wanted, rel=1e-12), name


def test_errors_are_scikit_learns(rng: np.random.Generator) -> None:
    scores = pytest.importorskip("sklearn.metrics")
    head = weighed(rng, "mse", units=2).network.heads[0]
    output, target, w = rng.random((50, 2)), rng.random((50, 2)), rng.uniform(0, 2, 50)
    found = head_metrics(head, output, target, ("mae", "mse", "rmse"), w)
    assert found["mae"] == pytest.approx(scores.mean_absolute_error(target, output, sample_weight=w), rel=1e-12)
    assert found["mse"] == pytest.approx(scores.mean_squared_error(target, output, sample_weight=w), rel=1e-12)
    assert found["rmse"] == pytest.approx(np.sqrt(found["mse"]))


def test_standardize_is_scikit_learns(rng: np.random.Generator) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    model = weighed(rng, first="standardize -> ")
    xs, ys = data(model.network, 50, rng)
    w = rng.uniform(0, 2, 50)
    w[:9] = 0
    model.fit(xs, ys, epochs=1, sample_weight=w)
    wanted = preprocessing.StandardScaler().fit(xs["x"], sample_weight=w)
    assert_close(model.parameters["standardize1.mean"].numpy(), wanted.mean_, 1e-12, "mean")
    assert_close(model.parameters["standardize1.std"].numpy(), wanted.scale_, 1e-12, "std")


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, 1, -1, 1], "is negative in example 2: -1"),
        ([1, np.nan, 1, 1], r"is not finite \(NaN or infinite\) in example 1: nan"),
        ([1, 1, 1, np.inf], "is not finite .* in example 3"),
        ([0, 0, 0, 0], "all 4 weights are 0"),
        ([1, 1, 1], r"expected the shape \(4,\), a number for each example, found \(3,\)"),
        (np.ones((4, 2)), r"expected the shape \(4,\)"),
        (["a", "b", "c", "d"], "numbers are wanted"),
        (np.ma.array([1, 1, 1, 1], mask=[0, 0, 1, 0]), "is masked in example 2"),
        ([1, 1e-42, 1, 1], "is less than 1.2e-38"),
        ([3e38, 3e38, 1, 1], "add up to 6e[+]38, which is too much for float32"),
    ],
)
def test_what_cannot_weigh(bad: object, message: str, rng: np.random.Generator) -> None:
    model = weighed(rng, dtype="float32")
    x, y = rng.standard_normal((4, 4)), np.arange(4)
    before = model.copy_weights()
    for call in (model.train_step, model.gradients, model.evaluate, model.confusion):
        with pytest.raises(DataError, match=message):
            call(x, y, bad)
    with pytest.raises(DataError, match=message):
        model.fit(x, y, sample_weight=bad)
    with pytest.raises(DataError, match=f"dev set: .*{message}"):
        model.fit(x, y, (x, y, bad))
    assert all((a == model.copy_weights()[name]).all() for name, a in before.items())


def test_no_label_of_an_example_that_counts(rng: np.random.Generator) -> None:
    model = weighed(rng, "mse", units=1)
    with pytest.raises(DataError, match="target output has no label: all 2 are missing"):
        model.evaluate(rng.standard_normal((3, 4)), np.array([np.nan, np.nan, 1]), [1, 1, 0])
