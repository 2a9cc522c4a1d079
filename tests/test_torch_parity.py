"""Forward, gradients and ten steps against the same networks in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import dslc
from dslc.runtime.model import Model
from helpers import REPO, Arrays, assert_close, data, load, randomize_parameters

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

Tensors = dict[str, "torch.Tensor"]
TOLERANCE = 1e-9


def weights_of(model: Model) -> Tensors:
    """The parameters as PyTorch orders them: conv weights (filters, channels, height, width)."""
    return {
        name: torch.tensor(to_torch(view.numpy()), requires_grad=not name.endswith((".mean", ".var")))
        for name, view in model.parameters.items()
    }


def to_torch(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array


def images(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x).permute(0, 3, 1, 2)


def flat(x: torch.Tensor) -> torch.Tensor:
    """As dslc flattens: channels last."""
    return x.permute(0, 2, 3, 1).flatten(1)


def batchnorm(x: torch.Tensor, p: Tensors, name: str, training: bool, momentum: float = 0.9) -> torch.Tensor:
    """PyTorch's own normalization; the running averages by hand, since PyTorch's take the unbiased variance."""
    gamma, beta, mean, var = (p[f"{name}.{role}"] for role in ("gamma", "beta", "mean", "var"))
    if training:
        with torch.no_grad():
            axes = [i for i in range(x.ndim) if i != 1]
            p[f"{name}.new_mean"] = momentum * mean + (1 - momentum) * x.mean(axes)
            p[f"{name}.new_var"] = momentum * var + (1 - momentum) * x.var(axes, unbiased=False)
    return F.batch_norm(x, None if training else mean, None if training else var, gamma, beta, training, eps=1e-5)


@dataclass(frozen=True)
class Twin:
    """A network of dslc and the same in PyTorch: its last value before the softmax, and its optimizer."""

    text: str
    logits: Callable[[Tensors, np.ndarray, bool], torch.Tensor]
    optimizer: Callable[[Tensors], torch.optim.Optimizer]
    l2: float = 0.0


# ------------------------------------------------------------------------------------------- the networks


def lenet5(p: Tensors, x: np.ndarray, training: bool) -> torch.Tensor:
    y = F.avg_pool2d(F.conv2d(images(x), p["conv1.weight"], p["conv1.bias"], padding=2).tanh(), 2)
    y = F.avg_pool2d(F.conv2d(y, p["conv2.weight"], p["conv2.bias"]).tanh(), 2)
    y = flat(y)
    for name in ("dense1", "dense2"):
        y = F.linear(y, p[f"{name}.weight"], p[f"{name}.bias"]).tanh()
    return F.linear(y, p["dense3.weight"], p["dense3.bias"])


MLP = """net Mlp {
  input x: 50
  dense(33, bias=off) -> batchnorm -> relu
  dense(20, bias=off) -> batchnorm -> leaky_relu(0.1)
  dense(10) -> softmax
}
"""


def mlp(p: Tensors, x: np.ndarray, training: bool) -> torch.Tensor:
    y = batchnorm(F.linear(torch.tensor(x), p["dense1.weight"]), p, "batchnorm1", training).relu()
    y = F.leaky_relu(batchnorm(F.linear(y, p["dense2.weight"]), p, "batchnorm2", training), 0.1)
    return F.linear(y, p["dense3.weight"], p["dense3.bias"])


CONVS = """net Convs {
  input image: 17x19x4
  conv(12, 3x5, stride=2x1, pad=1, groups=2) -> silu
  conv(9, 3x3, dilation=2, pad=same) -> elu -> maxpool(3x3, stride=2, pad=1)
  conv(10, 2x3, stride=1x2) -> gelu -> avgpool(2x2, stride=1, pad=1)
  flatten -> dense(7) -> softmax
}
"""


def gelu(x: torch.Tensor) -> torch.Tensor:
    """x times the normal distribution function. F.gelu computes that as (1 + erf) / 2, which cancels in the tail."""
    return 0.5 * x * torch.erfc(-x / 2**0.5)


def convs(p: Tensors, x: np.ndarray, training: bool) -> torch.Tensor:
    y = F.silu(F.conv2d(images(x), p["conv1.weight"], p["conv1.bias"], stride=(2, 1), padding=1, groups=2))
    y = F.elu(F.conv2d(y, p["conv2.weight"], p["conv2.bias"], dilation=2, padding=2))
    y = F.max_pool2d(y, 3, 2, padding=1)
    y = gelu(F.conv2d(y, p["conv3.weight"], p["conv3.bias"], stride=(1, 2)))
    y = F.avg_pool2d(y, 2, 1, padding=1, count_include_pad=False)
    return F.linear(flat(y), p["dense1.weight"], p["dense1.bias"])


RESIDUAL = """net Residual {
  input image: 9x9x3
  stem = conv(8, 3x3, pad=same, bias=off) -> batchnorm -> relu
  side = stem -> conv(8, 3x3, pad=same, bias=off) -> batchnorm
  gate = stem -> conv(8, 1x1) -> sigmoid
  sum  = add(stem, side) -> relu
  out  = multiply(sum, gate)
  both = concat(out, stem)
  output digit = both -> global_avgpool -> dense(5) -> softmax
}
"""


def residual(p: Tensors, x: np.ndarray, training: bool) -> torch.Tensor:
    stem = batchnorm(F.conv2d(images(x), p["conv1.weight"], padding=1), p, "batchnorm1", training).relu()
    side = batchnorm(F.conv2d(stem, p["conv2.weight"], padding=1), p, "batchnorm2", training)
    gate = F.conv2d(stem, p["conv3.weight"], p["conv3.bias"]).sigmoid()
    both = torch.cat([(stem + side).relu() * gate, stem], dim=1)
    return F.linear(both.mean((2, 3)), p["dense1.weight"], p["dense1.bias"])


def train(optimizer: str, more: str = "") -> str:
    return f"train {{\n  loss cross_entropy\n  optimizer {optimizer}\n  {more}\n  batch 12\n}}\n"


def learning(p: Tensors) -> list[torch.Tensor]:
    return [w for w in p.values() if w.requires_grad]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Callable[[Tensors], torch.optim.Optimizer]:
    return lambda p: torch.optim.SGD(learning(p), lr=0.05, momentum=momentum, nesterov=nesterov)


def adam(p: Tensors) -> torch.optim.Optimizer:
    return torch.optim.Adam(learning(p), lr=0.01, betas=(0.8, 0.99), eps=1e-6)


def adamw(p: Tensors) -> torch.optim.Optimizer:
    """Weight decay on weights only."""
    decays = [w for name, w in p.items() if name.endswith(".weight")]
    others = [w for name, w in p.items() if w.requires_grad and not name.endswith(".weight")]
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.01)


def rmsprop(p: Tensors) -> torch.optim.Optimizer:
    """PyTorch adds eps behind the root, dslc under it as in the notes: both have next to none here."""
    return torch.optim.RMSprop(learning(p), lr=0.001, alpha=0.9, eps=0.0)


LENET = "net " + (REPO / "specs" / "lenet5.net").read_text().split("\nnet ")[1].split("train {")[0]

TWINS = {
    "lenet5, adam and l2": Twin(LENET + train("adam(0.01, beta1=0.8, beta2=0.99, eps=1e-6)", "regularize l2(0.3)"),
                                lenet5, adam, l2=0.3),
    "mlp, sgd": Twin(MLP + train("sgd(0.05)"), mlp, sgd()),
    "mlp, rmsprop": Twin(MLP + train("rmsprop(0.001, eps=1e-200)"), mlp, rmsprop),
    "convs, momentum": Twin(CONVS + train("sgd(0.05, momentum=0.9)"), convs, sgd(0.9)),
    "convs, nesterov": Twin(CONVS + train("sgd(0.05, momentum=0.8, nesterov=on)"), convs, sgd(0.8, True)),
    "convs, adamw": Twin(CONVS + train("adamw(0.01, weight_decay=0.1)"), convs, adamw),
    "residual, adamw": Twin(RESIDUAL + train("adamw(0.01, weight_decay=0.1)"), residual, adamw),
    "residual, nesterov": Twin(RESIDUAL + train("sgd(0.05, momentum=0.8, nesterov=on)"), residual, sgd(0.8, True)),
}  # fmt: skip


def loss_of(twin: Twin, p: Tensors, xs: Arrays, ys: Arrays) -> torch.Tensor:
    (x,), (t,) = xs.values(), ys.values()
    loss = F.cross_entropy(twin.logits(p, x, True), torch.tensor(t))
    for name, w in p.items():
        if twin.l2 and name.endswith(".weight"):
            loss = loss + twin.l2 / (2 * len(x)) * (w**2).sum()
    return loss


@pytest.mark.parametrize("name", TWINS)
def test_forward_gradients_and_ten_steps(name: str, rng: np.random.Generator) -> None:
    twin = TWINS[name]
    model = load(twin.text, rng)
    p = weights_of(model)
    optimizer = twin.optimizer(p)
    for step in range(10):
        xs, ys = data(model.network, 12 if step % 2 else 7, rng)
        predicted = F.softmax(twin.logits(p, next(iter(xs.values())), False), dim=1)
        assert_close(model.predict(xs), predicted.detach().numpy(), TOLERANCE, f"prediction {step}")
        optimizer.zero_grad()
        loss = loss_of(twin, p, xs, ys)
        loss.backward()
        for parameter, gradient in model.gradients(xs, ys).items():
            assert_close(to_torch(gradient), p[parameter].grad.numpy(), TOLERANCE, f"gradient {parameter} {step}")
        optimizer.step()
        assert_close(model.train_step(xs, ys), loss.item(), TOLERANCE, f"loss {step}")
        for new in [key for key in p if ".new_" in key]:
            p[new.replace("new_", "")] = p.pop(new)
        for parameter, view in model.parameters.items():
            assert_close(to_torch(view.numpy()), p[parameter].detach().numpy(), TOLERANCE, f"{parameter} after {step}")


def test_the_spec_itself(rng: np.random.Generator) -> None:
    """specs/lenet5.net, in its own precision."""
    model = randomize_parameters(dslc.load(REPO / "specs" / "lenet5.net"), rng)
    p = {name: w.double() for name, w in weights_of(model).items()}
    xs, _ = data(model.network, 64, rng, "float32")
    wanted = F.softmax(lenet5(p, xs["image"], False), dim=1)
    assert_close(model.predict(xs), wanted.detach().numpy(), 1e-5, "prediction")
