"""The gradient check must be able to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run
from dslc.compiler import check_text
from dslc.proofs.gradcheck import check_gradients, without_augmentation
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from helpers import REPO, interpreter


@pytest.fixture
def model() -> Model:
    return dslc.load(REPO / "specs" / "lenet5.net", dtype="float64")


def verdicts(model: Model) -> dict[str, str]:
    x, y = random_batch(model.network, 3, 0)
    return {row.name: row.verdict for row in check_gradients(model, x, y, 10).rows}


def test_right_gradients_pass(model: Model) -> None:
    assert set(verdicts(model).values()) == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv1.weight", "conv2.bias", "dense2.weight"])
def test_a_wrong_gradient_is_named(model: Model, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = model.gradients
    monkeypatch.setattr(
        model, "gradients", lambda x, y: {n: g * (1.001 if n == name else 1) for n, g in right(x, y).items()}
    )
    assert {n for n, verdict in verdicts(model).items() if verdict != "ok"} == {name}


TINY = """net Tiny {
  input x: 3
  dense(4) -> HIDDEN -> dense(2)
}
train {
  loss mse
  optimizer sgd(0.1)
  regularize l2(0.5)
}
"""


def tiny(hidden: str = "tanh") -> tuple[Model, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A network, and a mini-batch for it."""
    model = dslc.loads(TINY.replace("HIDDEN", hidden), dtype="float64")
    return model, *random_batch(model.network, 4, 0)


def scaled(model: Model, monkeypatch: pytest.MonkeyPatch, factors: dict[str, float]) -> None:
    """From now on the gradients of these parameters come out too large by a factor."""
    right = model.gradients
    monkeypatch.setattr(model, "gradients", lambda x, y: {n: g * factors.get(n, 1) for n, g in right(x, y).items()})


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1 + 1e-8, "great"), (1 + 1e-6, "look"), (1 + 1e-5, "look"), (1 + 1e-3, "look"), (1.01, "worry"), (-1, "worry")],
)
def test_all_parameters_make_one_vector(factor: float, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes' formula on the theta of all parameters: one of which is spoiled by a factor."""
    model, x, y = tiny()
    parts = model.gradients(x["x"], y["output"])
    theta = np.concatenate([g.ravel() for g in parts.values()])
    spoiled = np.concatenate([g.ravel() * (factor if n == "dense2.weight" else 1) for n, g in parts.items()])
    wanted = np.linalg.norm(theta - spoiled) / (np.linalg.norm(theta) + np.linalg.norm(spoiled))
    scaled(model, monkeypatch, {"dense2.weight": factor})
    found = check_gradients(model, x, y, 1000)
    assert sum(row.compared for row in found.rows) == theta.size == 3 * 4 + 4 + 4 * 2 + 2
    assert found.difference == pytest.approx(wanted, rel=1e-3, abs=2e-9) and found.verdict.startswith(words)


def test_the_worst_entry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = tiny()
    right = model.gradients

    def wrong(x: object, y: object) -> dict[str, np.ndarray]:
        found = right(x, y)
        found["dense1.weight"][3, 1] *= -1
        return found

    monkeypatch.setattr(model, "gradients", wrong)
    (row,) = check_gradients(model, x, y, 1000).failures
    exact = right(x["x"], y["output"])["dense1.weight"][3, 1]
    assert row.name == "dense1.weight" and row.worst is not None and row.worst.index == (3, 1)
    assert row.worst.analytic == -exact and row.worst.numerical == pytest.approx(exact, rel=1e-7)


def test_a_kink_exactly_here_is_not_compared() -> None:
    """At zero weights every relu stands at its kink: the two-sided difference is half the slope on one side."""
    model, x, y = tiny("relu")
    model.parameters["dense1.weight"][...] = 0
    rows = {row.name: row for row in check_gradients(model, x, y, 1000).rows}
    assert rows["dense1.bias"].skipped == 4 and rows["dense1.bias"].verdict == "nothing compared"
    assert rows["dense2.bias"].skipped == 0 and rows["dense2.bias"].verdict == "ok"


def test_the_command_shows_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "tiny.net"
    spec.write_text(TINY.replace("HIDDEN", "tanh"))
    assert run(["gradcheck", str(spec), "--epsilon", "1e-4"]) == 0
    *_, total = capsys.readouterr().out.splitlines()
    assert total.startswith("all together") and total.endswith("great: at most 1e-7")
    right = Model.gradients
    monkeypatch.setattr(
        Model, "gradients", lambda *a: {n: g * (2 if n == "dense2.bias" else 1) for n, g in right(*a).items()}
    )
    assert run(["gradcheck", str(spec)]) == 1
    *_, total, where = capsys.readouterr().out.splitlines()
    assert "worry" in total and where.startswith("dense2.bias[") and "numerical" in where and "analytic" in where
    assert run(["gradcheck", str(spec), "--epsilon", "0"]) == 2
    assert "--epsilon must lie between 0 and 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_gradient_of_zeros_fails(model: Model) -> None:
    """With zero weights behind it nothing reaches conv1: both sides are zero, and that is no proof."""
    model.parameters["dense1.weight"][...] = 0
    found = verdicts(model)
    assert found["conv1.bias"] == "all zero" and found["dense3.bias"] == "ok"
    assert np.all(model.parameters["dense1.weight"].numpy() == 0), "the check puts back what it perturbs"


def test_a_gradient_whose_terms_cancel_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Biases before a batch norm, and what is added to all scores before a softmax: true gradients are zero. A missing
    term would show."""
    text = """net Cancelling {
  input x: 4x4x2
  conv(3, 3x3) -> batchnorm -> tanh -> flatten
  scores = dense(3)
  level = x -> flatten -> dense(1)
  add(scores, level) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(0.1)
}
"""
    model = dslc.loads(text, dtype="float64")
    found = verdicts(model)
    zero = {"conv1.bias", "dense2.weight", "dense2.bias"}
    assert {name for name, verdict in found.items() if verdict == "ok: terms cancel"} == zero
    assert {verdict for name, verdict in found.items() if name not in zero} == {"ok"}
    right = model.gradients
    monkeypatch.setattr(model, "gradients", lambda x, y: {n: g + 1e-6 * (n in zero) for n, g in right(x, y).items()})
    assert {name for name, verdict in verdicts(model).items() if verdict == "differs"} == zero


AUGMENTED = """net A {
  input image: 7x7x2
  flip(horizontal) -> rotate(20) -> shift(1) -> crop(5x6) -> noise(0.1)
  conv(3, 3x3) -> tanh -> flatten -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(0.1)
}
"""


def test_augmentation_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And told. The loss that is differentiated is that of the examples as prediction sees them, at every step."""
    network, names = without_augmentation(check_text(AUGMENTED, dtype="float64"))
    assert names == ("flip1", "rotate1", "shift1", "crop1", "noise1")
    model = Model(network)
    x, y = random_batch(network, 4, 0)
    loss = -np.log(np.asarray(model.predict(x["image"]))[np.arange(4), y["output"]]).mean()
    for step in (0, 1):
        model.compiled.step = step
        assert model.loss(x["image"], y["output"]) == pytest.approx(loss, rel=1e-12)
        precise = {name: a.astype(np.float64) for name, a in x.items()}
        assert interpreter(model).loss_and_gradients(precise, y)[0] == pytest.approx(loss, rel=1e-12)
    (tmp_path / "a.net").write_text(AUGMENTED)
    monkeypatch.chdir(tmp_path)
    assert run(["gradcheck", "a.net"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"note: checked on examples as at prediction, without {', '.join(names)}"]
    assert said.out.count("ok\n") == 4


def test_dropout_is_refused_or_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.net").write_text(
        "net D {\n input x: 4\n dense(5) -> tanh -> dropout(0.5)\n dense(3) -> softmax\n}\n"
        "train {\n loss cross_entropy\n optimizer sgd(0.1)\n}\n"
    )
    assert run(["gradcheck", "d.net"]) == 1
    said = capsys.readouterr()
    assert "dropout1" in said.err and "--without-dropout" in said.err and not said.out
    assert run(["gradcheck", "d.net", "--without-dropout"]) == 0
    assert capsys.readouterr().out.count("ok\n") == 4
