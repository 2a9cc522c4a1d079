"""The CTC loss against PyTorch's, and what cannot be aligned."""

from __future__ import annotations

import numpy as np
import pytest

from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from helpers import assert_agrees, assert_close, load

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, CLASSES, LABELS, BLANK = 23, 5, 6, 1
TEXT = f"""net Speech {{
  input sound: {STEPS}x3
  input n: 1
  sound -> dense({CLASSES}) -> softmax
}}
train {{
  loss ctc({LABELS}, blank={BLANK}, lengths=n)
  optimizer sgd(0.1)
  batch 7
}}
"""
ROWS = np.array(
    [
        [0, 2, 3, 4, 0, 2],
        [3, 3, 3, -1, -1, -1],  # repetitions need blanks between them
        [4, -1, -1, -1, -1, -1],
        [-1, -1, -1, -1, -1, -1],  # nothing but blanks
        [2, 2, 0, 0, -1, -1],
        [0, 0, 0, -1, -1, -1],  # as many steps as are needed
        [2, 3, -1, -1, -1, -1],
    ]
)
LENGTHS = np.array([23, 9, 1, 5, 17, 5, 2])


@pytest.fixture(scope="module")
def model() -> Model:
    return load(TEXT, np.random.default_rng(5))


def test_loss_and_gradients(model: Model, rng: np.random.Generator) -> None:
    """`reduction="mean"`, which divides by the number of labels."""
    x = 3 * rng.standard_normal((7, STEPS, 3))
    w, b = (torch.tensor(model.parameters[f"dense1.{role}"].numpy(), requires_grad=True) for role in ("weight", "bias"))
    logs = F.linear(torch.tensor(x), w, b).log_softmax(-1).transpose(0, 1)
    labels = torch.tensor(np.where(ROWS < 0, 0, ROWS))
    loss = F.ctc_loss(logs, labels, torch.tensor(LENGTHS), torch.tensor((ROWS >= 0).sum(1)), blank=BLANK)
    loss.backward()
    given = {"sound": x, "n": LENGTHS}
    assert model.loss(given, ROWS) == pytest.approx(loss.item(), rel=1e-12)
    gradients = model.gradients(given, ROWS)
    assert_close(gradients["dense1.weight"], w.grad.numpy(), 1e-11, "weight")
    assert_close(gradients["dense1.bias"], b.grad.numpy(), 1e-11, "bias")
    assert model.evaluate(given, ROWS)["loss"] == pytest.approx(loss.item(), rel=1e-12)


def test_agrees_with_the_interpreter(model: Model, rng: np.random.Generator) -> None:
    assert_agrees(model, 7, rng)


def test_a_long_sequence_is_exact_in_single_precision(rng: np.random.Generator) -> None:
    text = "net Long {\n  input x: 900x4\n  linear -> softmax -> scale\n}\n"
    text = text.replace("linear -> softmax -> scale", "scale -> softmax") + (
        "train {\n  loss ctc(80)\n  optimizer sgd(0.1)\n  batch 2\n}\n"
    )
    x, rows = 2 * rng.standard_normal((2, 900, 4)), rng.integers(1, 4, (2, 80))
    model = load(text, rng, "float32")
    model.parameters["scale1.factor"] = np.ones(4)
    z = torch.tensor(x.astype(np.float32).astype(np.float64), requires_grad=True)
    count = torch.tensor([80, 80])
    loss = F.ctc_loss(z.log_softmax(-1).transpose(0, 1), torch.tensor(rows), torch.tensor([900, 900]), count)
    loss.backward()
    assert model.loss(x, rows) == pytest.approx(loss.item(), rel=1e-6)
    wanted = (z.grad * z.detach()).sum((0, 1)).numpy()
    assert_close(model.gradients(x, rows)["scale1.factor"], wanted, 1e-4, "factor")


@pytest.mark.parametrize("steps", [STEPS + 1, 2.5, -1])
def test_lengths_are_whole_numbers_of_steps(model: Model, steps: float) -> None:
    given = {"sound": np.zeros((1, STEPS, 3)), "n": np.array([[steps]])}
    with pytest.raises(DataError, match=rf"input n is .* in example 0: .* wants whole numbers from 0 to {STEPS}"):
        model.evaluate(given, np.array([[0, 2, -1, -1, -1, -1]]))


@pytest.mark.parametrize(
    ("row", "steps", "said"),
    [
        ([0, 2, 3, -1, -1, -1], 2, "example 1 has 3 labels, which need 3 steps, and has 2"),
        ([0, 0, 2, -1, -1, -1], 3, "example 1 has 3 labels, which need 4 steps, and has 3"),
        ([0, 1, 2, -1, -1, -1], 9, "has the label 1; labels go from 0 to 4 without the blank, 1"),
        ([0, -1, 2, -1, -1, -1], 9, "has labels behind its end"),
        ([0, 5, -1, -1, -1, -1], 9, "has the label 5"),
    ],
)
def test_what_cannot_be_aligned_is_refused(model: Model, row: list[int], steps: int, said: str) -> None:
    """Wherever targets come in: an infinite loss would come of it."""
    x = {"sound": np.zeros((2, STEPS, 3)), "n": np.array([4, steps])}
    y = np.array([ROWS[2], row])
    for call in (model.loss, model.gradients, model.train_step, model.evaluate, model.fit):
        with pytest.raises(DataError, match=said):
            call(x, y)
