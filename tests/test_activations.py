"""Activations against PyTorch's, kinks included."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dslc
from dslc.runtime.model import Model

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

Function = Callable[["torch.Tensor"], "torch.Tensor"]
POINTS = np.concatenate([np.linspace(-8, 8, 129), [-40, -1e-3, -1e-9, 1e-9, 1e-3, 40]])
"""Every eighth, so that all kinks are among them; an odd number of points."""
FUNCTIONS: dict[str, Function] = {
    "relu6": F.relu6,
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,  # F.hardsigmoid's own derivative is 1 / 6 in float32
    "hard_swish": F.hardswish,
    "mish": F.mish,
    "selu": F.selu,
    "softsign": F.softsign,
    "swish": F.silu,
    "gelu(approximate=tanh)": lambda x: F.gelu(x, approximate="tanh"),
}


@pytest.fixture(scope="module")
def model() -> Model:
    """A head for each activation, behind biases that are the points."""
    lines, losses = [], []
    for i, text in enumerate(FUNCTIONS):
        lines.append(f"output h{i} = x -> dense({len(POINTS)}, name=d{i}) -> {text} -> linear")
        losses.append(f"loss h{i}: mse")
    made = dslc.loads(
        "net Curves {\n  input x: 1\n  " + "\n  ".join(lines) + "\n}\ntrain {\n  " + "\n  ".join(losses)
        + "\n  optimizer sgd(0.1)\n  batch 1\n}\n", dtype="float64",
    )  # fmt: skip
    for i in range(len(FUNCTIONS)):
        made.parameters[f"d{i}.weight"] = np.zeros((len(POINTS), 1))
        made.parameters[f"d{i}.bias"] = POINTS
    return made


@pytest.fixture(scope="module")
def curves(model: Model) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Value and derivative at every point, by activation."""
    x = np.zeros((1, 1))
    values = model.predict(x)
    targets = {head: y - len(POINTS) / 2 for head, y in values.items()}  # so that dloss / dy is 1
    gradients = model.gradients(x, targets)
    return {text: (values[f"h{i}"][0], gradients[f"d{i}.bias"]) for i, text in enumerate(FUNCTIONS)}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_agrees_with_pytorch(text: str, curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    x = torch.tensor(POINTS, requires_grad=True)
    y = FUNCTIONS[text](x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    value, derivative = curves[text]
    assert np.abs(value - y.detach().numpy()).max() <= 1e-13
    apart = np.abs(derivative - slope.numpy())
    assert apart.max() <= 1e-12, POINTS[apart.argmax()]
