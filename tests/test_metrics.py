"""Metrics against scikit-learn, and what makes an epoch the better one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dslc
from dslc.ir import Head, Network
from dslc.objective import Bound, Objective
from dslc.runtime.metrics import head_metrics
from dslc.runtime.model import Model
from dslc.runtime.training.fit import OutOfBounds

scores = pytest.importorskip("sklearn.metrics")
SPEC = "net A {{\n input x: 4\n {layers}\n}}\ntrain {{\n loss {loss}\n optimizer sgd(0.1)\n {more}\n}}"
NAMES = ("accuracy", "precision", "recall", "f1", "iou")
SCIKIT_LEARNS = {"iou": "jaccard"}
"""Names that differ there."""


def head_of(layers: str, loss: str) -> Head:
    return checked(layers, loss).heads[0]


def checked(layers: str, loss: str, more: str = "") -> Network:
    from dslc.compiler import check_text

    return check_text(SPEC.format(layers=layers, loss=loss, more=more))


def test_classes(rng: np.random.Generator) -> None:
    """Class 6 never occurs and is never predicted; class 5 is predicted but does not occur."""
    output, target = rng.random((200, 7)), rng.integers(0, 5, 200)
    output[:, 6] = -1
    found = head_metrics(head_of("dense(7) -> softmax", "cross_entropy"), output, target, (*NAMES, "top3"))
    predicted = output.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(scores.accuracy_score(target, predicted))
    for name in NAMES[1:]:
        wanted = getattr(scores, f"{SCIKIT_LEARNS.get(name, name)}_score")(
            target, predicted, average="macro", zero_division=0
        )
        assert found[name] == pytest.approx(wanted, rel=1e-12), name
    top = scores.top_k_accuracy_score(target, output, k=3, labels=range(7))
    assert found["top3"] == pytest.approx(top)


def test_yes_or_no_with_missing_labels(rng: np.random.Generator) -> None:
    output, target = rng.random((150, 1)), rng.integers(0, 2, (150, 1)).astype(float)
    target[::7] = np.nan
    found = head_metrics(head_of("dense(1) -> sigmoid", "binary_cross_entropy"), output, target, NAMES)
    there = ~np.isnan(target)
    for name in NAMES:
        wanted = getattr(scores, f"{SCIKIT_LEARNS.get(name, name)}_score")(target[there], output[there] >= 0.5)
        assert found[name] == pytest.approx(wanted, rel=1e-12), name


def test_errors(rng: np.random.Generator) -> None:
    output, target = rng.random((50, 2)), rng.random((50, 2))
    found = head_metrics(head_of("dense(2)", "mse"), output, target, ("mae", "mse", "rmse"))
    assert found["mae"] == pytest.approx(scores.mean_absolute_error(target, output))
    assert found["mse"] == pytest.approx(scores.mean_squared_error(target, output))
    assert found["rmse"] == pytest.approx(math.sqrt(found["mse"]))


def test_objective() -> None:
    objective = Objective("accuracy", (Bound("predict_us", "<=", 50), Bound("recall", ">=", 0.8)))
    good = {"dev_accuracy": 0.9, "predict_us": 50, "dev_recall": 0.8}
    assert objective.satisfied(good)
    assert objective.value(good) < objective.value({"dev_accuracy": 0.8})
    assert not objective.satisfied(good | {"predict_us": 51})
    assert not objective.satisfied(good | {"dev_recall": math.nan})
    assert not objective.satisfied({"dev_accuracy": 1.0})
    assert Objective("dev_loss").value({"dev_loss": 1.0}) < Objective("dev_loss").value({"dev_loss": 2.0})
    assert Objective("accuracy").value({}) == math.inf


def test_the_training_loss_is_watched_with_its_penalty() -> None:
    """That sum is what training makes smaller; a dev loss has no penalty."""
    record = {"loss": 1.0, "penalty": 0.5, "dev_loss": 1.25}
    assert Objective("loss").value(record) == 1.5
    assert Objective("dev_loss").value(record) == 1.25


@pytest.mark.parametrize("metric", ["dev_f1", "dev_loss"])
def test_stop_keeps_the_best_by_its_metric(metric: str, rng: np.random.Generator) -> None:
    """The learning rate is so large that epochs get better and worse."""
    more = f"stop early(patience=9, metric={metric})\n epochs 12\n batch 8"
    text = SPEC.format(layers="dense(3) -> softmax", loss="cross_entropy", more=more)
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    model = dslc.loads(text.replace("sgd(0.1)", "sgd(5)"))
    history = model.fit(x, y, dev=(x[:20], y[:20]))
    column = history.to_dict()[metric]
    best = max(column) if metric == "dev_f1" else min(column)
    assert len(set(column)) > 1 and history.best_epoch == column.index(best) + 1
    assert model.evaluate(x[:20], y[:20])[metric.removeprefix("dev_")] == pytest.approx(best)


def unsteady(more: str) -> Model:
    """A network whose learning rate is so large that epochs get better and worse."""
    text = SPEC.format(layers="dense(3) -> softmax", loss="cross_entropy", more=f"epochs 12\n batch 8\n {more}")
    return dslc.loads(text.replace("sgd(0.1)", "sgd(5)"))


def test_an_epoch_that_breaks_a_bound_is_not_the_best(rng: np.random.Generator) -> None:
    """The bound cuts off the epoch that would have been the best; the next best of those left is kept."""
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    dev = (x[:20], y[:20])
    free = unsteady("optimize loss\n metrics recall").fit(x, y, dev=dev).to_dict()
    losses, recalls = np.array(free["dev_loss"]), np.array(free["dev_recall"])
    limit = float(recalls[losses.argmin()])
    allowed = np.flatnonzero(recalls < limit)
    wanted = int(allowed[losses[allowed].argmin()])
    model = unsteady(f"optimize loss subject_to recall < {limit!r}")
    history = model.fit(x, y, dev=dev)
    assert history.best_epoch == wanted + 1
    assert model.evaluate(*dev)["loss"] == pytest.approx(losses[wanted])


def test_bounds_on_what_is_measured(rng: np.random.Generator) -> None:
    """Fifteen parameters: 4 * 3 weights and 3 biases. A bound that nothing keeps is told at once and at the end."""
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    model = unsteady("optimize accuracy subject_to parameters <= 15, predict_us < 1e6, kilobytes < 9")
    history = model.fit(x, y, dev=(x, y))
    record = history.records[0]
    assert record["parameters"] == 15 and 0 < record["predict_us"] < 1e6
    assert record["kilobytes"] >= 4 * (15 + 3) / 1000, "the parameters and an output, in float32"
    assert history.best_epoch == 1 + int(np.argmax(history.to_dict()["dev_accuracy"]))
    model = unsteady("optimize accuracy subject_to parameters < 15")
    with pytest.warns(OutOfBounds) as told:
        history = model.fit(x, y, dev=(x, y))
    assert [str(w.message) for w in told] == [
        "no epoch can meet parameters < 15: it is 15", "no epoch met parameters < 15: the last weights are kept",
    ]  # fmt: skip
    assert history.best_epoch is None and len(history.records) == 12
    assert model.evaluate(x, y)["loss"] == pytest.approx(history.records[-1]["dev_loss"])
    with pytest.raises(dslc.DataError, match="`subject_to` is judged on a dev set"):
        model.fit(x, y)


def test_metric_of_one_of_several_heads(rng: np.random.Generator) -> None:
    text = """net A {
 input x: 4
 h = dense(4) -> tanh
 output kind = h -> dense(3) -> softmax
 output price = h -> dense(1)
}
train {
 loss kind: cross_entropy
 loss price: mse
 optimizer sgd(0.3)
 batch 8
 epochs 9
 optimize kind_accuracy subject_to dev_price_rmse < 1e9
}"""
    x, y = rng.standard_normal((60, 4)), {"kind": rng.integers(0, 3, 60), "price": rng.standard_normal(60)}
    history = dslc.loads(text).fit(x, y, dev=(x, y))
    column = history.to_dict()["dev_kind_accuracy"]
    assert len(set(column)) > 1 and history.best_epoch == column.index(max(column)) + 1


def test_confusion(rng: np.random.Generator) -> None:
    """The matrix is scikit-learn's; a sigmoid's missing labels do not count."""
    x, labels = rng.standard_normal((80, 4)), rng.integers(0, 3, 80)
    model = unsteady("metrics confusion")
    assert model.training.confusion and model.training.metrics == ()
    (matrix,) = model.confusion(x, labels).values()
    assert (matrix == scores.confusion_matrix(labels, model.predict(x).argmax(axis=1), labels=range(3))).all()
    answers = np.where(rng.random((80, 2)) < 0.2, np.nan, rng.integers(0, 2, (80, 2)).astype(float))
    model = dslc.loads(SPEC.format(layers="dense(2) -> sigmoid", loss="binary_cross_entropy", more="metrics confusion"))
    (matrix,) = model.confusion(x, answers).values()
    there = ~np.isnan(answers)
    assert (matrix == scores.confusion_matrix(answers[there], model.predict(x)[there] >= 0.5)).all()
    assert dslc.loads(SPEC.format(layers="dense(2)", loss="mse", more="")).confusion(x, x[:, :2]) == {}
