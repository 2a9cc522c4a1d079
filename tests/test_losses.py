"""Every loss against its reference and finite differences: weights, smoothing, missing targets, several heads."""

from __future__ import annotations

import numpy as np
import pytest

import dslc.losses
from dslc import registry
from dslc.compiler import check_text
from dslc.language.diagnostics import DataError
from dslc.losses import ElementLoss, Loss
from dslc.runtime.data.arrays import require_labels
from dslc.runtime.model import Model
from helpers import (
    FORWARD,
    assert_agrees,
    assert_all_close,
    assert_close,
    assert_differentiates,
    data,
    interpreter,
    load,
)

pytestmark = pytest.mark.usefixtures("fences_in_float32")
LOSSES = registry.every(dslc.losses, Loss)
OF_ELEMENTS = [name for name, loss in LOSSES.items() if issubclass(loss, ElementLoss)]
REQUIRED = {"formula": "(y - t)^2 * 0.5 + softplus(-y * t)", "ctc": "1"}
"""The arguments that a loss must be given."""
TEXTS = [*LOSSES, *(f"{name}(weight=0.3)" for name in LOSSES)]
TEXTS += [
    "cross_entropy(soft_labels=on)",
    "cross_entropy(soft_labels=on, label_smoothing=0.1, weight=2.5)",
    "cross_entropy(label_smoothing=0.2)",
    "cross_entropy(label_smoothing=0.1, weight=2.5)",
    "focal(gamma=0)",
    "pixel_cross_entropy(class_weights=(1, 2, 0.5, 0, 3), weight=0.4)",
    "dice(smooth=0.01)",
    "focal(gamma=0.5, alpha=0.9)",
    "quantile(0.9)",
    "quantile(tau=0.1)",
    "huber(delta=0.4)",
    "huber(3)",
    "formula(abs(y - t) / (1 + t^2) + max(y, 0.5 * t)^1.5 + log(1 + exp(-min(y, t))))",
    "cross_entropy(class_weights=(1, 2, 0.5, 0, 3))",
    "cross_entropy(label_smoothing=0.1, class_weights=(1, 2, 0.5, 1, 3), weight=0.4)",
    "hinge(class_weights=(1, 2, 0.5, 0, 3), weight=0.4)",
]


def judged_by(text: str, rng: np.random.Generator, dtype: str = "float64", units: int = 5) -> Model:
    """A small network that ends as the loss wants it."""
    name, _, given = text.removesuffix(")").partition("(")
    last = LOSSES[name].through or "linear"
    if name in REQUIRED and not given.startswith(("abs", REQUIRED[name])):
        text = f"{name}({', '.join(filter(None, (REQUIRED[name], given)))})"
    return load(
        f"net Judged {{\n  input x: 4\n  dense(7) -> tanh -> dense({units}) -> {last}\n}}\n"
        f"train {{\n  loss {text}\n  optimizer sgd(0.1)\n  batch 9\n}}\n",
        rng,
        dtype,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("text", TEXTS)
def test_agrees_with_its_reference(text: str, dtype: str, rng: np.random.Generator) -> None:
    model = judged_by(text, rng, dtype)
    for n in (9, 4, 1):
        assert_agrees(model, n, rng)


@pytest.mark.parametrize("text", TEXTS)
def test_gradients_are_the_slopes_of_the_loss(text: str, rng: np.random.Generator) -> None:
    model = judged_by(text, rng)
    assert_differentiates(model, *data(model.network, 8, rng), rng)


FORMULAS = {
    "mse": lambda y, t: ((y - t) ** 2).mean(),
    "mae": lambda y, t: np.abs(y - t).mean(),
    "huber": lambda y, t: np.where(np.abs(y - t) <= 1, (y - t) ** 2 / 2, np.abs(y - t) - 0.5).mean(),
    "binary_cross_entropy": lambda y, t: -(t * np.log(y) + (1 - t) * np.log(1 - y)).mean(),
    "binary_hinge": lambda y, t: np.maximum(0, 1 - (2 * t - 1) * y).mean(),
    "formula": lambda y, t: ((y - t) ** 2 / 2 + np.logaddexp(0, -y * t)).mean(),
    "contrastive": lambda y, t: ((t * y**2 + (1 - t) * np.maximum(0, 1 - y) ** 2) / 2).mean(),
    "triplet": lambda y, t: np.maximum(0, y + 1).mean(),
    "log_cosh": lambda y, t: np.log(np.cosh(y - t)).mean(),
    "quantile": lambda y, t: (np.abs(y - t) / 2).mean(),
    "poisson": lambda y, t: (y - t * np.log(y)).mean(),
    "focal": lambda y, t: (
        -(0.25 * t + 0.75 * (1 - t)) * (t * (1 - y) + (1 - t) * y) ** 2 * (t * np.log(y) + (1 - t) * np.log(1 - y))
    ).mean(),
    "kl_divergence": lambda y, t: (t * np.log(t / y)).sum(axis=1).mean(),
    "dice": lambda y, t: (1 - (2 * (y * t).sum(axis=1) + 1) / (y.sum(axis=1) + t.sum(axis=1) + 1)).mean(),
    "ctc": lambda y, t: -np.log(y[np.arange(len(t)), t[:, 0].astype(int)]).mean(),
    "pixel_cross_entropy": lambda y, t: -np.log(y[np.arange(len(t)), t.astype(int)]).mean(),
    "step_cross_entropy": lambda y, t: -np.log(y[np.arange(len(t)), t.astype(int)]).mean(),
    "hinge": lambda y, t: np.mean([max(0, *(1 + np.delete(row, k) - row[k])) for row, k in zip(y, t, strict=True)]),
    "cross_entropy": lambda y, t: -np.log(y[np.arange(len(t)), t]).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_is_the_formula_of_the_book(name: str, rng: np.random.Generator) -> None:
    """From what the network predicts, in training and in `evaluate`, where more than a mini-batch comes."""
    model = judged_by(f"{name}(weight=0.5)", rng)
    xs, ys = data(model.network, 9, rng)
    wanted = 0.5 * FORMULAS[name](model.predict(xs), ys["output"])
    assert model.loss(xs, ys) == pytest.approx(wanted, rel=1e-12)
    xs, ys = data(model.network, 31, rng)
    wanted = 0.5 * FORMULAS[name](model.predict(xs), ys["output"])
    assert model.evaluate(xs, ys)["loss"] == pytest.approx(wanted, rel=1e-12)


def test_label_smoothing_is_a_mixture_of_targets(rng: np.random.Generator) -> None:
    """90 % of the plain loss and 10 % of the mean over all classes."""
    plain, smooth = judged_by("cross_entropy", rng), judged_by("cross_entropy(label_smoothing=0.1)", rng)
    for name, values in plain.copy_weights().items():
        smooth.parameters[name] = values
    xs, ys = data(plain.network, 9, rng)
    everywhere = np.mean([plain.loss(xs, {"output": np.full(9, k)}) for k in range(5)])
    assert smooth.loss(xs, ys) == pytest.approx(0.9 * plain.loss(xs, ys) + 0.1 * everywhere, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_certain_outputs(name: str, dtype: str, rng: np.random.Generator) -> None:
    """Logits of thousands neither overflow nor become NaN, right or wrong."""
    model = judged_by(name, rng, dtype)
    model.parameters["dense2.bias"] = np.array([-3000, 2000, -500, 90, 0])
    xs, ys = data(model.network, 9, rng, dtype)
    with np.errstate(over="ignore"):
        loss, gradients, _ = interpreter(model).loss_and_gradients(xs, ys)
    assert np.isfinite(loss)
    assert_close(model.loss(xs, ys), loss, FORWARD[dtype], "loss")
    assert_all_close(model.gradients(xs, ys), gradients, FORWARD[dtype])


# ------------------------------------------------------------------------------------------- classes


def test_hinge_is_scikit_learns(rng: np.random.Generator) -> None:
    """Several classes by Crammer and Singer, and one output of which the sign decides."""
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    model = judged_by("hinge", rng)
    xs, ys = data(model.network, 31, rng)
    wanted = sklearn_metrics.hinge_loss(ys["output"], model.predict(xs), labels=range(5))
    assert wanted > 0.1
    assert model.evaluate(xs, ys)["loss"] == pytest.approx(wanted, rel=1e-12)
    assert model.evaluate(xs, ys)["accuracy"] == (model.predict(xs).argmax(axis=1) == ys["output"]).mean()
    yes = judged_by("binary_hinge", rng, units=1)
    answers = rng.integers(0, 2, 31)
    found = yes.evaluate(xs, answers)
    decision = yes.predict(xs)[:, 0]
    assert found["loss"] == pytest.approx(sklearn_metrics.hinge_loss(answers, decision), rel=1e-12)
    assert found["accuracy"] == ((decision >= 0) == answers).mean()


def test_class_weights_are_pytorchs_divided_by_the_number_of_examples(rng: np.random.Generator) -> None:
    """Not by the sum of their weights; loss, gradient and `evaluate` over more than one mini-batch."""
    torch = pytest.importorskip("torch")
    weights = (1, 2, 0.5, 0, 3)
    model = judged_by("cross_entropy(class_weights=(1, 2, 0.5, 0, 3))", rng)
    for n in (9, 31):
        xs, ys = data(model.network, n, rng)
        logits = torch.tensor(np.log(model.predict(xs)), requires_grad=True)
        of_class = torch.tensor(weights, dtype=torch.float64)
        target = torch.tensor(ys["output"])
        loss = torch.nn.functional.cross_entropy(logits, target, weight=of_class, reduction="sum") / n
        assert model.evaluate(xs, ys)["loss"] == pytest.approx(loss.item(), rel=1e-12)
        if n == 9:
            loss.backward()
            assert model.loss(xs, ys) == pytest.approx(loss.item(), rel=1e-12)
            assert_close(model.gradients(xs, ys)["dense2.bias"], logits.grad.numpy().sum(axis=0), 1e-11, "bias")


@pytest.mark.parametrize("name", ["cross_entropy", "hinge"])
def test_a_class_that_weighs_two_is_there_twice(name: str, rng: np.random.Generator) -> None:
    plain, weighted = judged_by(name, rng), judged_by(f"{name}(class_weights=(1, 2, 1, 1, 1))", rng)
    for parameter, values in plain.copy_weights().items():
        weighted.parameters[parameter] = values
    xs, target = data(plain.network, 6, rng)[0]["x"], np.array([0, 1, 2, 1, 4, 3])
    twice = np.array([0, 1, 1, 2, 3, 3, 4, 5])
    assert weighted.loss(xs, target) * 6 == pytest.approx(plain.loss(xs[twice], target[twice]) * 8, rel=1e-12)
    doubled = {p: g * 8 / 6 for p, g in plain.gradients(xs[twice], target[twice]).items()}
    assert_all_close(weighted.gradients(xs, target), doubled, 1e-12)


# ------------------------------------------------------------------------------------------- regions

REGIONS = """net Regions {{
  input x: 5x4x2
  conv(3, 3x3, pad=same) -> tanh -> conv({channels}, 1x1) -> sigmoid
}}
train {{
  loss dice(smooth=0.5, weight=0.3)
  optimizer adam(0.01)
  batch {batch}
}}
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch", ["7", "6 in 3"])
def test_dice_of_images(channels: int, batch: str, dtype: str, rng: np.random.Generator) -> None:
    """A region for each channel, by hand from what is predicted; with missing targets, of a whole map too, and weights
    of examples; one mini-batch and slices of it."""
    model = load(REGIONS.format(channels=channels, batch=batch), rng, dtype)
    n = model.batch - 1 if model.batch > 6 else model.batch
    xs, ys = data(model.network, n, rng, dtype)
    target, w = ys["output"], rng.uniform(0.5, 2, n).astype(dtype).astype(np.float64)
    target[rng.random(target.shape) < 0.3] = np.nan
    target[1, :, :, 0] = target[2] = np.nan
    there = ~np.isnan(target)
    p, t = np.where(there, model.predict(xs), 0).astype(np.float64), np.where(there, target, 0)
    overlap = (2 * (p * t).sum(axis=(1, 2)) + 0.5) / (p.sum(axis=(1, 2)) + t.sum(axis=(1, 2)) + 0.5)
    each = there.any(axis=(1, 2)) * w[:, None]
    wanted = 0.3 * ((1 - overlap) * each).sum() / each.sum()
    assert model.evaluate(xs, target, w)["loss"] == pytest.approx(wanted, rel=FORWARD[dtype])
    loss, gradients, _ = interpreter(model).loss_and_gradients(xs, ys, w)
    assert loss == pytest.approx(wanted, rel=FORWARD[dtype])
    assert_close(model.loss(xs, ys, w), loss, FORWARD[dtype], "loss")
    assert_all_close(model.gradients(xs, ys, w), gradients, FORWARD[dtype])
    if dtype == "float64":
        assert_differentiates(model, xs, ys, rng)
    nothing = np.full_like(target, np.nan)
    assert model.loss(xs, nothing) == 0 and not any(g.any() for g in model.gradients(xs, nothing).values())


# ------------------------------------------------------------------------------------------- classes of pixels

PIXELS = """net Pixels {{
  input x: 5x4x2
  conv(3, 3x3, pad=same) -> tanh -> conv(4, 1x1) -> softmax
}}
train {{
  loss pixel_cross_entropy(ignore=9, weight=0.3{more})
  optimizer adam(0.01)
  metrics iou
  batch {batch}
}}
"""


def labels_of_pixels(n: int, rng: np.random.Generator) -> np.ndarray:
    """Class numbers, 9 here and there and in all of example 2."""
    labels = np.where(rng.random((n, 5, 4)) < 0.3, 9, rng.integers(0, 4, (n, 5, 4)))
    labels[2] = 9
    return labels


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("more", ["", ", class_weights=(1, 2, 0.5, 3)"])
@pytest.mark.parametrize("batch", ["7", "6 in 3"])
def test_classes_of_pixels(more: str, batch: str, dtype: str, rng: np.random.Generator) -> None:
    """By hand from what is predicted; with labels to ignore and weights of examples, at once and in slices."""
    model = load(PIXELS.format(more=more, batch=batch), rng, dtype)
    xs, _ = data(model.network, 6, rng, dtype)
    labels, w = labels_of_pixels(6, rng), rng.uniform(0.5, 2, 6).astype(dtype).astype(np.float64)
    p, there = model.predict(xs), labels != 9
    of_class = np.array([1, 2, 0.5, 3]) if more else np.ones(4)
    right = np.take_along_axis(p, np.where(there, labels, 0)[..., None], -1)[..., 0]
    each = there * w[:, None, None]
    wanted = -0.3 * (each * of_class[np.where(there, labels, 0)] * np.log(right)).sum() / each.sum()
    found = model.evaluate(xs, labels, w)
    assert found["loss"] == pytest.approx(wanted, rel=FORWARD[dtype])
    said = p.argmax(axis=-1)
    assert found["accuracy"] == pytest.approx((each * (said == labels)).sum() / each.sum(), rel=1e-12)
    overlaps = [
        (each * (said == k) * (labels == k)).sum() / (each * ((said == k) | (labels == k))).sum() for k in range(4)
    ]
    assert found["iou"] == pytest.approx(np.mean(overlaps), rel=1e-12)
    target = np.where(there, labels, np.nan)
    loss, gradients, _ = interpreter(model).loss_and_gradients(xs, {"output": target}, w)
    assert_close(model.loss(xs, labels, w), loss, FORWARD[dtype], "loss")
    assert_all_close(model.gradients(xs, labels, w), gradients, FORWARD[dtype])
    if dtype == "float64":
        assert_differentiates(model, xs, {"output": target}, rng)


def test_labels_of_pixels_that_are_wrong(rng: np.random.Generator) -> None:
    model = load(PIXELS.format(more="", batch="7"), rng)
    xs, _ = data(model.network, 6, rng)
    labels = labels_of_pixels(6, rng)
    masked = np.ma.masked_equal(labels, 9)
    assert model.loss(xs, masked) == model.loss(xs, labels) == model.loss(xs, labels[..., None].astype(np.uint8))
    assert model.loss(xs, np.full_like(labels, 9)) == 0
    for bad in (4, -1, 1.5):
        wrong = labels.astype(float)
        wrong[3, 1, 2] = bad
        with pytest.raises(DataError, match=f"example 3 has the class {bad:g}; classes go from 0 to 3, and 9 is"):
            model.train_step(xs, wrong)
    with pytest.raises(DataError, match=r"expected the shape \(n, 5, 4\) with a class number for each pixel"):
        model.train_step(xs, labels[:, :3])


def test_labels_of_pixels_in_fit(rng: np.random.Generator) -> None:
    """Two epochs of `fit` with a dev set are the steps of the interpreter."""
    model = load(PIXELS.format(more="", batch="4").replace("batch 4", "batch 4\n  shuffle off"), rng)
    xs, _ = data(model.network, 6, rng)
    labels = labels_of_pixels(6, rng)
    reference = interpreter(model)
    target = np.where(labels == 9, np.nan, labels)
    for _ in range(2):
        for part in (slice(4), slice(4, 6)):
            reference.train_step({"x": xs["x"][part]}, {"output": target[part]}, 0.01)
    history = model.fit(xs, labels, dev=(xs["x"], labels), epochs=2)
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)
    assert 0 < history.records[-1]["dev_iou"] < 1


# ------------------------------------------------------------------------------------------- targets in a range


@pytest.mark.parametrize(("loss", "bad", "wants"), [("poisson", -0.5, "at least 0"), ("focal", 1.5, "from 0 to 1")])
def test_targets_out_of_range(loss: str, bad: float, wants: str, rng: np.random.Generator) -> None:
    """Refused with and without a missing one, which C cannot look through."""
    model = judged_by(loss, rng)
    xs, ys = data(model.network, 9, rng)
    for missing in (0.5, np.nan):
        ys["output"][3, 1], ys["output"][0, 0] = bad, missing
        with pytest.raises(DataError, match=f"{loss} wants targets (of )?{wants}"):
            model.train_step(xs, ys)
    ys["output"][3, 1] = 40 if loss == "poisson" else 1
    assert np.isfinite(model.train_step(xs, ys))


def test_a_poisson_head_predicts_rates(rng: np.random.Generator) -> None:
    """Outputs are the expected counts: at their mean the loss is smallest, and errors are in counts."""
    model = judged_by("poisson", rng)
    x, counts = np.zeros((400, 4)), rng.poisson([0.3, 1, 4, 9, 20], (400, 5)).astype(float)
    for _ in range(1000):
        model.train_step(x[:9], np.broadcast_to(counts.mean(axis=0), (9, 5)))
    assert model.predict(x[:1])[0] == pytest.approx(counts.mean(axis=0), rel=0.05)


# ------------------------------------------------------------------------------------------- missing targets


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OF_ELEMENTS)
def test_missing_targets_do_not_count(name: str, dtype: str, rng: np.random.Generator) -> None:
    """The loss is the mean over the targets that are there; another prediction for the others changes nothing."""
    model = judged_by(name, rng, dtype)
    xs, ys = data(model.network, 9, rng, dtype)
    missing = rng.random((9, 5)) < 0.4
    missing[2], missing[:, 3] = True, True
    target = np.where(missing, np.nan, ys["output"])
    there = ~missing
    wanted = FORMULAS[name](model.predict(xs)[there].astype(np.float64), target[there])
    assert model.loss(xs, target) == pytest.approx(wanted, rel=FORWARD[dtype])
    assert model.evaluate(xs, target)["loss"] == pytest.approx(wanted, rel=FORWARD[dtype])
    gradients = model.gradients(xs, target)
    assert not gradients["dense2.weight"][3].any()
    assert gradients["dense2.bias"][3] == 0
    _, wanted_gradients, _ = interpreter(model).loss_and_gradients(xs, {"output": target})
    assert_all_close(gradients, wanted_gradients, FORWARD[dtype])
    others = {"x": np.where(np.arange(9)[:, None] == 2, 7.0, xs["x"])}
    again = model.gradients(others, target)
    assert all(np.array_equal(gradients[p], again[p]) for p in gradients)


@pytest.mark.parametrize("name", OF_ELEMENTS)
def test_missing_targets_in_differences(name: str, rng: np.random.Generator) -> None:
    model = judged_by(name, rng)
    xs, ys = data(model.network, 9, rng)
    ys["output"][rng.random((9, 5)) < 0.4] = np.nan
    assert_differentiates(model, xs, ys, rng)


@pytest.mark.parametrize("name", OF_ELEMENTS)
def test_a_mini_batch_without_any_target(name: str, rng: np.random.Generator) -> None:
    """The loss is 0, nothing has a gradient, nothing moves."""
    model = judged_by(name, rng)
    xs, _ = data(model.network, 9, rng)
    nothing = np.full((9, 5), np.nan)
    before = model.copy_weights()
    assert model.loss(xs, nothing) == 0
    assert not any(g.any() for g in model.gradients(xs, nothing).values())
    assert model.train_step(xs, nothing) == 0
    assert all(np.array_equal(before[p], w) for p, w in model.copy_weights().items())


# ------------------------------------------------------------------------------------------- several heads

HEADS = """net Heads {
  input x: 6
  trunk = dense(11) -> tanh
  output kind   = trunk -> dense(4) -> softmax
  output traits = trunk -> dense(3) -> sigmoid
  output place  = trunk -> dense(2)
  output again  = trunk
}
train {
  loss kind:   cross_entropy(label_smoothing=0.1)
  loss traits: binary_cross_entropy(weight=0.5)
  loss place:  mse(weight=0.05)
  loss again:  mse(weight=0.2)
  optimizer    adam(lr=0.01)
  batch        8
}
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_several_heads(dtype: str, rng: np.random.Generator) -> None:
    model = load(HEADS, rng, dtype)
    for n in (8, 3):
        assert_agrees(model, n, rng)


def test_several_heads_add_up(rng: np.random.Generator) -> None:
    """Each head's loss counts with its weight, and the gradients flow together in the trunk."""
    model = load(HEADS, rng)
    xs, ys = data(model.network, 8, rng)
    ys["traits"][rng.random((8, 3)) < 0.3] = np.nan
    y, there = model.predict(xs), ~np.isnan(ys["traits"])
    log = np.log(y["kind"])
    wanted = (
        0.9 * FORMULAS["cross_entropy"](y["kind"], ys["kind"])
        - 0.1 * log.mean()
        + 0.5 * FORMULAS["binary_cross_entropy"](y["traits"][there], ys["traits"][there])
        + 0.05 * FORMULAS["mse"](y["place"], ys["place"])
        + 0.2 * FORMULAS["mse"](y["again"], ys["again"])
    )
    assert model.loss(xs, ys) == pytest.approx(wanted, rel=1e-12)
    assert model.evaluate(xs, ys)["loss"] == pytest.approx(wanted, rel=1e-12)
    assert_differentiates(model, xs, ys, rng)


TWO_HEADS = """net Two {
  input x: 4
  h = x -> dense(7) -> tanh
  output left = h -> dense(3)
  output right = h -> dense(2)
}
train {
  loss left: mse(weight=0.5)
  loss right: mae
  regularize l2(0.3)
  optimizer sgd(1e-30)
  shuffle off
  batch BATCH
}
"""
"""Its steps are too small to change a weight: every mini-batch is judged by the same network."""


def with_gaps(model: Model, count: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Examples of which the targets of some heads are missing, here and there for whole mini-batches."""
    xs, ys = data(model.network, count, rng)
    for target in ys.values():
        target[rng.random(target.shape) < 0.4] = np.nan
    ys["left"][5:14] = np.nan
    ys["right"][3:7] = np.nan
    return xs["x"], ys


@pytest.mark.parametrize("batch", [1, 3, 8, 40])
def test_the_loss_of_a_set_is_the_mean_over_the_labels_that_are_there(batch: int, rng: np.random.Generator) -> None:
    """Of each head, however the labels lie in mini-batches: in `evaluate` and in the history."""
    model = load(TWO_HEADS.replace("BATCH", str(batch)), rng)
    x, ys = with_gaps(model, 29, rng)
    error = {name: y - ys[name] for name, y in model.predict(x).items()}
    left, right = 0.5 * np.nanmean(error["left"] ** 2), np.nanmean(np.abs(error["right"]))
    found = model.evaluate(x, ys)
    assert found["left_loss"] == pytest.approx(left, rel=1e-12)
    assert found["right_loss"] == pytest.approx(right, rel=1e-12)
    assert found["loss"] == pytest.approx(left + right, rel=1e-12)
    (record,) = model.fit(x, ys, dev=(x, ys), epochs=1).records
    assert record["loss"] == pytest.approx(left + right, rel=1e-12)
    assert record["dev_loss"] == pytest.approx(record["loss"], rel=1e-12)


@pytest.mark.parametrize("batch", [3, 29])
def test_the_penalty_is_recorded_beside_the_loss(batch: int, rng: np.random.Generator) -> None:
    """lambda / (2m) * sum W^2 of each mini-batch, in the mean over the examples; a step's loss has it inside."""
    model = load(TWO_HEADS.replace("BATCH", str(batch)), rng)
    x, ys = with_gaps(model, 29, rng)
    squares = sum((view.numpy() ** 2).sum() for name, view in model.parameters.items() if name.endswith("weight"))
    sizes = [min(batch, 29 - first) for first in range(0, 29, batch)]
    (record,) = model.fit(x, ys, epochs=1).records
    assert record["penalty"] == pytest.approx(len(sizes) * 0.15 * squares / 29, rel=1e-12)
    first = slice(sizes[0])
    targets = {name: y[first] for name, y in ys.items()}
    penalty = 0.15 * squares / sizes[0]
    error = {name: y - targets[name] for name, y in model.predict(x[first]).items()}
    whole = 0.5 * np.nanmean(error["left"] ** 2) + np.nanmean(np.abs(error["right"])) + penalty
    assert model.loss(x[first], targets) == pytest.approx(whole, rel=1e-12)


def test_without_a_regularizer_no_penalty_is_recorded(rng: np.random.Generator) -> None:
    model = load(TWO_HEADS.replace("  regularize l2(0.3)\n", "").replace("BATCH", "8"), rng)
    assert "penalty" not in model.fit(*with_gaps(model, 29, rng), epochs=1).records[0]


def test_what_marks_a_missing_label_is_told() -> None:
    """The label that the loss ignores, of the message that says that there are no others."""
    train = "train {\n  loss step_cross_entropy\n  optimizer sgd(0.1)\n}\n"
    network = check_text(f"net Steps {{\n  input x: 4x3\n  dense(5) -> softmax\n}}\n{train}")
    with pytest.raises(DataError, match=r"target output has no label: all 2 are missing \(-100 or NaN\)"):
        require_labels(network, [np.full((2, 4), np.nan, np.float32)])


def test_a_set_without_any_label_has_no_loss(rng: np.random.Generator) -> None:
    """`evaluate` refuses it: 0 would be the best loss. A mini-batch without a label trains and moves nothing."""
    model = judged_by("mse", rng)
    xs, ys = data(model.network, 20, rng)
    nothing = np.full_like(ys["output"], np.nan)
    with pytest.raises(DataError, match="no label"):
        model.evaluate(xs, nothing)
    before = model.copy_weights()
    assert model.train_step(xs["x"][:9], nothing[:9]) == 0
    assert_all_close(model.copy_weights(), before, 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_loss_that_is_not_finite_has_no_gradients(dtype: str, rng: np.random.Generator) -> None:
    """Neither zeros nor what the call before left."""
    model = judged_by("mse", rng, dtype)
    xs, ys = data(model.network, 9, rng, dtype)
    wanted = model.gradients(xs, ys)
    target = ys["output"] + (1e200 if dtype == "float64" else 1e30)
    for _ in range(2):
        with pytest.raises(DataError, match="loss of this mini-batch is inf"):
            model.gradients(xs, target)
    assert_all_close(model.gradients(xs, ys), wanted, 0)
