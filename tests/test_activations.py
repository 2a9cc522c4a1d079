"""Activations against PyTorch's, kinks included; those that look at several numbers, and those that learn or draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dslc
from dslc.runtime.model import Model
from helpers import assert_close, data, load

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


# ------------------------------------------------------------------------------------------- several numbers

NET = """net Channels {{
  input image: 5x6x12
  conv(12, 1x1) -> {layer} -> linear
}}
train {{
  loss mse
  optimizer sgd(lr=0.1)
  batch 8
}}
"""
Layer = Callable[["torch.Tensor", dict[str, "torch.Tensor"]], "torch.Tensor"]
LAYERS: dict[str, Layer] = {
    "log_softmax": lambda y, p: F.log_softmax(y, -1),
    "glu": lambda y, p: F.glu(y, -1),
    "maxout(3)": lambda y, p: y.unflatten(-1, (4, 3)).max(-1).values,
    "prelu": lambda y, p: F.prelu(y.movedim(-1, 1), p["prelu1.slope"]).movedim(1, -1),
    "scale": lambda y, p: y * p["scale1.factor"],
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers_agree_with_pytorch(text: str, rng: np.random.Generator) -> None:
    model = load(NET.format(layer=text), rng)
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    xs, ys = data(model.network, 7, rng)
    y = torch.einsum("nhwc,ck->nhwk", torch.tensor(xs["image"]), p["conv1.weight"][0, 0]) + p["conv1.bias"]
    result = LAYERS[text](y, p)
    assert_close(model.predict(xs), result.detach().numpy(), 1e-12, "prediction")
    F.mse_loss(result, torch.tensor(ys["output"])).backward()
    for name, gradient in model.gradients(xs, ys).items():
        assert_close(gradient, p[name].grad.numpy(), 1e-12, name)


def test_prelu_at_zero() -> None:
    """The derivative there is the slope, as in PyTorch."""
    model = dslc.loads(
        "net Zero { input x: 1\n dense(1) -> prelu -> linear }\ntrain { loss mse\n optimizer sgd(0.1)\n batch 1 }",
        dtype="float64",
    )
    model.parameters["dense1.weight"] = np.zeros((1, 1))
    x = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    F.prelu(x, torch.tensor([0.25], dtype=torch.float64)).backward()
    gradient = model.gradients(np.zeros((1, 1)), np.full((1, 1), -0.5))["dense1.bias"]  # so that dloss / dy is 1
    assert gradient.item() == x.grad.item() == 0.25


def test_log_softmax_of_large_numbers() -> None:
    """Where the logarithm of softmax would be -inf. Near 0 it is as right as the sum of about 1 that it comes from."""
    for size in (3, 200):
        model = dslc.loads(f"net Far {{\n  input x: {size}\n  log_softmax\n}}")
        x = np.linspace(-500, 500, size).round()[None]  # float32 holds them
        assert np.allclose(model.predict(x), F.log_softmax(torch.tensor(x), -1).numpy(), rtol=3e-7, atol=3e-7)


# ------------------------------------------------------------------------------------------- alpha_dropout


def test_alpha_dropout_keeps_mean_and_variance_and_drops_as_pytorch_does() -> None:
    """The two lines that it moves elements along are PyTorch's; mean 0 and variance 1 of its input remain."""
    count, rate = 40_000, 0.3
    model = dslc.loads(
        f"net Drops {{\n  input x: {count}\n  output y = x -> alpha_dropout({rate}) -> dense(1, bias=off)\n}}\n"
        "train {\n  loss mse\n  optimizer sgd(1e-9)\n  batch 1\n}\n",
        dtype="float64",
    )
    model.parameters["dense1.weight"] = np.zeros((1, count))
    x = np.random.default_rng(2).standard_normal((1, count))
    mine = model.gradients(x, np.full((1, 1), -0.5))["dense1.weight"][0]  # dloss / dy is 1: the dense layer's input
    theirs = F.alpha_dropout(torch.tensor(x), rate, training=True)[0].numpy()
    values, counts = np.unique(theirs, return_counts=True)
    low = values[counts.argmax()]
    slope, shift = np.polyfit(x[0][theirs != low], theirs[theirs != low], 1)
    dropped = np.isclose(mine, low, rtol=1e-12)
    assert np.allclose(mine[~dropped], x[0][~dropped] * slope + shift, rtol=1e-9, atol=1e-9)
    assert abs(dropped.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / count)
    assert abs(mine.mean()) < 0.03 and abs(mine.var() - 1) < 0.05
    assert np.array_equal(model.predict(x), np.zeros((1, 1)))
