"""The gradient check must be able to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli import run
from dslc.gradcheck import check_gradients
from dslc.runtime.model import Model
from dslc.verify import random_batch
from helpers import REPO


@pytest.fixture
def model() -> Model:
    return dslc.load(REPO / "specs" / "lenet5.net", dtype="float64")


def verdicts(model: Model) -> dict[str, str]:
    x, y = random_batch(model.network, 3, 0)
    return {row.name: row.verdict for row in check_gradients(model, x, y, 10).rows}


def test_right_gradients_pass(model: Model) -> None:
    assert set(verdicts(model).values()) == {"ok"}


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.bias", "dense2.weight"])
def test_a_wrong_gradient_is_named(model: Model, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    right = model.gradients
    monkeypatch.setattr(
        model, "gradients", lambda x, y: {n: g * (1.001 if n == name else 1) for n, g in right(x, y).items()}
    )
    assert {n for n, verdict in verdicts(model).items() if verdict != "ok"} == {name}


def test_a_gradient_of_zeros_fails(model: Model) -> None:
    """With zero weights behind it nothing reaches conv1: both sides are zero, and that is no proof."""
    model.parameters["dense1.weight"][...] = 0
    found = verdicts(model)
    assert found["conv1.bias"] == "all zero" and found["dense3.bias"] == "ok"
    assert np.all(model.parameters["dense1.weight"].numpy() == 0), "the check puts back what it perturbs"


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
    assert capsys.readouterr().out.count("ok") == 4
