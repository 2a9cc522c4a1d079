"""rnn, gru and lstm against PyTorch's modules with the same weights: results, gradients, lengths, truncation, and three
updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.ir import Node
from dslc.layers import Mode
from helpers import Arrays, assert_close

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

STEPS, CHANNELS, UNITS, N = 7, 4, 5, 6
MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
ROLES = {"weight_ih": "weight_input", "weight_hh": "weight_hidden", "bias_ih": "bias_input", "bias_hh": "bias_hidden"}


def role(name: str) -> str:
    """`weight_ih_l0_reverse` as `weight_input_reverse`."""
    kind, _, direction = name.partition("_l0")
    return f"{ROLES[kind]}{direction}"


def module_of(call: str, node: Node, p: Arrays, dtype: Any = torch.float64) -> torch.nn.Module:
    """PyTorch's module for a layer, with its parameters."""
    layer: Any = node.layer
    options = {"nonlinearity": layer.activation} if call.startswith("rnn") else {}
    made = MODULES[call.partition("(")[0]](
        node.input_shapes[0][1], layer.units, bias=layer.bias, batch_first=True, bidirectional=layer.bidirectional,
        dtype=dtype, **options,
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(p[role(name)])))
    return made


def whole(module: torch.nn.Module, x: torch.Tensor, lengths: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The states of all steps, and the last of each direction."""
    if lengths is None:
        y, last = module(x)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, last = module(packed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    hidden = last[0] if isinstance(last, tuple) else last
    return y, torch.cat(list(hidden), 1)


def in_stretches(size: int) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The same with the state detached after so many steps."""

    def run(module: torch.nn.Module, x: torch.Tensor, lengths: Any) -> tuple[torch.Tensor, torch.Tensor]:
        state, parts = None, []
        for part in torch.split(x, size, dim=1):
            y, state = module(part, state)
            parts.append(y)
            hidden = state[0] if isinstance(state, tuple) else state
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return torch.cat(parts, 1), hidden[0]

    return run


CASES = {
    "rnn(5)": whole,
    "rnn(5, activation=relu, bias=off)": whole,
    "rnn(5, bidirectional=on, return=last)": whole,
    "gru(5)": whole,
    "gru(5, return=last, bias=off)": whole,
    "gru(5, bidirectional=on)": whole,
    "lstm(5)": whole,
    "lstm(5, return=last)": whole,
    "lstm(5, bidirectional=on, return=last)": whole,
    "rnn(5, truncate=3)": in_stretches(3),
    "gru(5, truncate=2, return=last)": in_stretches(2),
    "lstm(5, truncate=3)": in_stretches(3),
    "lstm(5, truncate=1, return=last)": in_stretches(1),
}


LENGTHS = (7, 2, 5, 1, 7, 4)
WITH_LENGTHS = [pytest.param(call, LENGTHS, id=f"{call} of some") for call, run in CASES.items() if run is whole]
"""PyTorch has no packed sequences in stretches."""


@pytest.mark.parametrize(("call", "lengths"), [*(pytest.param(c, None, id=c) for c in CASES), *WITH_LENGTHS])
def test_the_reference_agrees(call: str, lengths: tuple[int, ...] | None, rng: np.random.Generator) -> None:
    given, argument = ("", "") if lengths is None else ("\n  input steps: 1", ", lengths=steps")
    text = f"net One {{{given}\n  input x: {STEPS}x{CHANNELS}\n  {call[:-1]}{argument})\n}}\n"
    (node,) = check_text(text).nodes
    p = {q.name.removeprefix(f"{node.name}."): rng.normal(size=q.shape) for q in node.parameters}
    x = rng.normal(size=(N, STEPS, CHANNELS))
    counts = () if lengths is None else (np.array(lengths, np.float64)[:, None],)
    found = node.layer.reference((x, *counts), p, Mode(training=True))
    module = module_of(call, node, p)
    assert sum(q.size for q in p.values()) == sum(q.numel() for q in module.parameters())
    given_x = torch.tensor(x, requires_grad=True)
    y = CASES[call](module, given_x, lengths)["return=last" in call]
    dy = rng.normal(size=y.shape)
    y.backward(torch.from_numpy(dy))
    dxs, gradients = found.pull(dy)
    assert_close(found.y, y.detach().numpy(), 1e-12, "y")
    assert_close(dxs[0], given_x.grad.numpy(), 1e-11, "dx")
    for name, parameter in module.named_parameters():
        assert_close(gradients[role(name)], parameter.grad.numpy(), 1e-11, name)


LAYERS = ("lstm(9, lengths=steps, bidirectional=on)", "gru(5, lengths=steps)", "rnn(6, lengths=steps, return=last)")
TEXT = f"""net Stack {{
  input steps: 1
  input x: {STEPS}x{CHANNELS}
  {" -> ".join(LAYERS)}
  dense(3)
}}
train {{
  loss mse
  optimizer sgd(lr=0.5)
  batch {N}
}}
"""


class Stack(torch.nn.Module):
    """The same network of PyTorch's modules."""

    def __init__(self, model: dslc.Model, dtype: Any) -> None:
        super().__init__()
        self.calls, self.names = [call.partition("(")[0] + "(" for call in LAYERS], []
        for call, node in zip(self.calls, model.network.nodes, strict=False):
            p = {q.name.removeprefix(f"{node.name}."): model.parameters[q.name].numpy() for q in node.parameters}
            self.add_module(node.name, module_of(call, node, p, dtype))
            self.names.append(node.name)
        self.dense1 = torch.nn.Linear(6, 3, dtype=dtype)
        with torch.no_grad():
            for name, parameter in self.dense1.named_parameters():
                parameter.copy_(torch.from_numpy(model.parameters[f"dense1.{name}"].numpy()))

    def forward(self, x: torch.Tensor, lengths: tuple[int, ...]) -> torch.Tensor:
        for name in self.names:
            x, last = whole(getattr(self, name), x, lengths)
        return self.dense1(last)

    def by_name(self) -> dict[str, torch.Tensor]:
        """Its parameters by the names that they have here."""
        dense = {f"dense1.{name}": parameter for name, parameter in self.dense1.named_parameters()}
        own = {
            f"{layer}.{role(name)}": parameter
            for layer in self.names
            for name, parameter in getattr(self, layer).named_parameters()
        }
        return {**own, **dense}


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-9), ("float32", 2e-5)])
def test_predictions_gradients_and_three_updates(dtype: str, close: float, rng: np.random.Generator) -> None:
    model = dslc.loads(TEXT, dtype=dtype)
    twin = Stack(model, getattr(torch, dtype))
    x, y = (rng.normal(size=shape).astype(dtype) for shape in ((N, STEPS, CHANNELS), (N, 3)))
    lengths = LENGTHS
    xs = {"x": x, "steps": np.array(lengths, dtype)}
    assert_close(model.predict(xs), twin(torch.from_numpy(x), lengths).detach().numpy(), close, "predictions")
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.5)
    for turn in range(3):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(twin(torch.from_numpy(x), lengths), torch.from_numpy(y)).backward()
        for name, gradient in model.gradients(xs, y).items():
            assert_close(gradient, twin.by_name()[name].grad.numpy(), close, f"{name} in turn {turn}")
        optimizer.step()
        model.train_step(xs, y)
    for name, parameter in twin.by_name().items():
        assert_close(model.parameters[name].numpy(), parameter.detach().numpy(), close, name)
