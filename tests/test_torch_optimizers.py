"""Fifty steps of every optimizer that PyTorch has too, from the same weights on the same mini-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dslc.runtime.model import Model
from helpers import assert_close, data, load

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

NET = """net Twin {{
  input x: 7
  dense(9) -> tanh
  dense(3{layer}) -> softmax
}}
train {{
  loss      cross_entropy
  optimizer {optimizer}
  batch     8
}}
"""
Tensors = dict[str, "torch.Tensor"]
Twin = Callable[[list["torch.Tensor"]], "torch.optim.Optimizer"]
NONE = 1e-200
"""An eps under the root and PyTorch's behind it are the same where both are next to nothing."""


class Lookahead:
    """Algorithm 1 of Zhang et al. 2019 around an optimizer of PyTorch."""

    def __init__(self, parameters: list[torch.Tensor], inner: torch.optim.Optimizer, k: int, alpha: float) -> None:
        self.fast, self.inner, self.k, self.alpha, self.done = parameters, inner, k, alpha, 0
        self.slow = [p.detach().clone() for p in parameters]

    def zero_grad(self) -> None:
        self.inner.zero_grad()

    def step(self) -> None:
        self.inner.step()
        self.done += 1
        if self.done % self.k == 0:
            with torch.no_grad():
                for slow, fast in zip(self.slow, self.fast, strict=True):
                    slow += self.alpha * (fast - slow)
                    fast.copy_(slow)


TWINS: dict[str, Twin] = {
    "lookahead(adam(0.01, beta2=0.7), k=4, alpha=0.3)": lambda p: Lookahead(
        p, torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.7)), 4, 0.3
    ),
    "sgd(0.1, weight_decay=0.2)": lambda p: torch.optim.SGD(decaying(p, 0.2), lr=0.1),
    "sgd(0.1, momentum=0.8, weight_decay=0.2)": lambda p: torch.optim.SGD(decaying(p, 0.2), lr=0.1, momentum=0.8),
    "sgd(0.1, momentum=0.8, nesterov=on, weight_decay=0.2)": lambda p: torch.optim.SGD(
        decaying(p, 0.2), lr=0.1, momentum=0.8, nesterov=True
    ),
    f"rmsprop(0.01, momentum=0.8, eps={NONE})": lambda p: torch.optim.RMSprop(
        p, lr=0.01, alpha=0.9, eps=NONE, momentum=0.8
    ),
    f"rmsprop(0.01, centered=on, eps={NONE})": lambda p: torch.optim.RMSprop(
        p, lr=0.01, alpha=0.9, eps=NONE, centered=True
    ),
    f"rmsprop(0.01, beta=0.7, momentum=0.5, centered=on, eps={NONE})": lambda p: torch.optim.RMSprop(
        p, lr=0.01, alpha=0.7, eps=NONE, momentum=0.5, centered=True
    ),
    "adam(0.01, beta2=0.7, amsgrad=on)": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.9, 0.7), amsgrad=True),
    "adamw(0.01, beta2=0.7, weight_decay=0.2, amsgrad=on)": lambda p: torch.optim.AdamW(
        decaying(p, 0.2), lr=0.01, betas=(0.9, 0.7), amsgrad=True
    ),
    "nadam(0.01)": lambda p: torch.optim.NAdam(p, lr=0.01),
    "nadam(0.01, beta1=0.8, beta2=0.9, eps=1e-4, momentum_decay=0.1)": lambda p: torch.optim.NAdam(
        p, lr=0.01, betas=(0.8, 0.9), eps=1e-4, momentum_decay=0.1
    ),
    "adamax(0.01)": lambda p: torch.optim.Adamax(p, lr=0.01),
    "adamax(0.01, beta1=0.7, beta2=0.8, eps=1e-3)": lambda p: torch.optim.Adamax(
        p, lr=0.01, betas=(0.7, 0.8), eps=1e-3
    ),
    "adadelta(1)": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "adadelta(0.5, rho=0.8, eps=1e-3)": lambda p: torch.optim.Adadelta(p, lr=0.5, rho=0.8, eps=1e-3),
}


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """PyTorch's NAdam keeps the product of its momenta in the default precision, whatever that of the parameters."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def decaying(p: list[torch.Tensor], decay: float) -> list[dict[str, object]]:
    """Two groups: weights, which decay, and biases."""
    return [
        {"params": [w for w in p if w.ndim == 2], "weight_decay": decay},
        {"params": [w for w in p if w.ndim == 1], "weight_decay": 0.0},
    ]


def tensors(model: Model) -> Tensors:
    return {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}


def loss_of(p: Tensors, x: np.ndarray, t: np.ndarray) -> torch.Tensor:
    y = F.linear(torch.tensor(x), p["dense1.weight"], p["dense1.bias"]).tanh()
    return F.cross_entropy(F.linear(y, p["dense2.weight"], p["dense2.bias"]), torch.tensor(t))


def assert_same(model: Model, twin: Callable[[Tensors], torch.optim.Optimizer], rng: np.random.Generator) -> None:
    p = tensors(model)
    optimizer = twin(p)
    for step in range(50):
        xs, ys = data(model.network, 8 if step % 2 else 5, rng)
        optimizer.zero_grad()
        loss = loss_of(p, xs["x"], ys["output"])
        loss.backward()
        optimizer.step()
        assert_close(model.train_step(xs, ys), loss.item(), 1e-10, f"loss {step}")
    for name, view in model.parameters.items():
        assert_close(view.numpy(), p[name].detach().numpy(), 1e-10, name)


def test_parameter_groups(rng: np.random.Generator) -> None:
    """lr_factor= of a layer is the lr of its own group."""
    model = load(NET.format(optimizer="adamw(0.01, weight_decay=0.2)", layer=", lr_factor=0.1"), rng)

    def twin(p: Tensors) -> torch.optim.Optimizer:
        groups = [
            {"params": [w], "lr": 0.001 if name.startswith("dense2") else 0.01, "weight_decay": 0.2 * (w.ndim - 1)}
            for name, w in p.items()
        ]
        return torch.optim.AdamW(groups)

    assert_same(model, twin, rng)


@pytest.mark.parametrize("optimizer", TWINS)
def test_fifty_steps(optimizer: str, rng: np.random.Generator) -> None:
    model = load(NET.format(optimizer=optimizer, layer=""), rng)
    assert_same(model, lambda p: TWINS[optimizer](list(p.values())), rng)
