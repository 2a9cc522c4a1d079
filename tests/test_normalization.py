"""layernorm, lrn and batchnorm against PyTorch's, and the same bits with any number of threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dslc
from helpers import (
    FORWARD,
    Arrays,
    assert_agrees,
    assert_all_close,
    assert_close,
    assert_differentiates,
    data,
    load,
    randomize_parameters,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NET = "net Norms {{\n  input image: 5x6x{channels}\n  conv({channels}, 1x1) -> {layer}\n}}\n"
TRAIN = "train {\n  loss mse\n  optimizer sgd(lr=0.1)\n  batch 8\n}\n"
Layer = Callable[["torch.Tensor", Arrays], "torch.Tensor"]


def layernorm(y: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
    gamma, beta = (p[f"layernorm1.{role}"] for role in ("gamma", "beta"))
    return torch.nn.functional.layer_norm(y, y.shape[1:], gamma, beta, eps=1e-3)


def lrn(size: int, alpha: float, beta: float, k: float) -> Layer:
    """PyTorch divides alpha by size, the paper does not."""
    norm = torch.nn.LocalResponseNorm(size, alpha * size, beta, k)
    return lambda y, p: norm(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def groupnorm(groups: int, name: str = "", eps: float = 1e-5) -> Layer:
    """By PyTorch's group_norm, with the gamma and beta of a layer, or with none."""

    def norm(y: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
        affine = (p[f"{name}.gamma"], p[f"{name}.beta"]) if name else (None, None)
        return torch.nn.functional.group_norm(y.permute(0, 3, 1, 2), groups, *affine, eps).permute(0, 2, 3, 1)

    return norm


def instancenorm(y: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.nn.functional.instance_norm(y.permute(0, 3, 1, 2), eps=1e-3).permute(0, 2, 3, 1)


def rmsnorm(y: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.nn.functional.rms_norm(y, y.shape[-1:], p["rmsnorm1.weight"], 1e-6)


CASES = {
    "groupnorm(3)": groupnorm(3, "groupnorm1"),
    "groupnorm(9, eps=0.1, affine=off)": groupnorm(9, eps=0.1),
    "instancenorm(eps=1e-3)": instancenorm,
    "instancenorm(affine=on)": groupnorm(9, "instancenorm1"),
    "rmsnorm": rmsnorm,
    "l2_normalize": lambda y, p: torch.nn.functional.normalize(y, dim=-1),
    "l2_normalize(eps=3)": lambda y, p: torch.nn.functional.normalize(y, dim=-1, eps=3),
    "layernorm(eps=1e-3)": layernorm,
    "lrn": lrn(5, 1e-4, 0.75, 2.0),
    "lrn(size=3, alpha=0.4, beta=0.6, k=0.5)": lrn(3, 0.4, 0.6, 0.5),
}


EACH_CHANNEL = ("groupnorm(9, eps=0.1, affine=off)", "instancenorm(eps=1e-3)", "instancenorm(affine=on)")
"""Before these a bias would have the gradient 0, as before batchnorm."""


@pytest.mark.parametrize("text", CASES)
def test_agrees_with_pytorch(text: str, rng: np.random.Generator) -> None:
    net = NET.replace("1x1", "1x1, bias=off") if text in EACH_CHANNEL else NET
    model = load(net.format(channels=9, layer=text) + TRAIN, rng)
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    xs, ys = data(model.network, 7, rng)
    y = torch.einsum("nhwc,ck->nhwk", torch.tensor(xs["image"]), p["conv1.weight"][0, 0]) + p.get("conv1.bias", 0)
    result = CASES[text](y, p)
    assert_close(model.predict(xs), result.detach().numpy(), 1e-10, "prediction")
    torch.nn.functional.mse_loss(result, torch.tensor(ys["output"])).backward()
    for name, gradient in model.gradients(xs, ys).items():
        assert_close(gradient, p[name].grad.numpy(), 1e-9, name)


SHARED = {"groupnorm(5)": "groupnorm", "instancenorm": "groupnorm", "rmsnorm": "row_norm", "l2_normalize": "row_norm",
          "prelu": "channel_map_gradient", "scale": "channel_map_sums", "log_softmax": "log_softmax", "glu": "glu",
          "maxout(2)": "maxout"}  # fmt: skip
"""Layers whose kernels have another name, and one of those."""


@pytest.mark.parametrize("text", ["layernorm", "lrn", *SHARED])
def test_the_same_bits_with_any_number_of_threads(text: str, rng: np.random.Generator) -> None:
    """Large enough that the work is shared."""
    text = NET.replace("5x6", "20x20").format(channels=70, layer=text) + TRAIN
    models = [randomize_parameters(dslc.loads(text, threads=n), np.random.default_rng(1)) for n in (1, 3)]
    shared = {k.operation.kind for s in models[1].plan.steps for k in s.kernels if k.parallel}
    layer = text.split("-> ")[1].split("\n")[0]
    assert SHARED.get(layer, layer) in shared
    xs, ys = data(models[0].network, 8, rng, "float32")
    results = [(m.train_step(xs, ys), m.predict(xs).tobytes()) for m in models]
    assert results[0] == results[1]
    weights = [{name: w.tobytes() for name, w in m.copy_weights().items()} for m in models]
    assert weights[0] == weights[1]


BATCHNORM = """net Normal {
  input image: 4x3x2
  conv(3, 2x2, bias=off) -> batchnorm -> relu -> flatten
  dense(6, bias=off) -> batchnorm(momentum=0.7, variance=unbiased) -> tanh -> dense(2)
}
train {
  loss      mse
  optimizer sgd(lr=0.1)
  batch     8
  shuffle   off
}
"""


def normalized(
    x: torch.Tensor, p: dict[str, torch.Tensor], name: str, keep: float, unbiased: bool = False
) -> torch.Tensor:
    """PyTorch's batch norm in training; the running averages by hand if biased, since PyTorch's never are."""
    if unbiased:
        running = (p[f"{name}.mean"], p[f"{name}.var"])
        return torch.nn.functional.batch_norm(x, *running, p[f"{name}.gamma"], p[f"{name}.beta"], True, 1 - keep, 1e-5)
    axes = [i for i in range(x.ndim) if i != 1]
    with torch.no_grad():
        p[f"{name}.mean"] = keep * p[f"{name}.mean"] + (1 - keep) * x.mean(axes)
        p[f"{name}.var"] = keep * p[f"{name}.var"] + (1 - keep) * x.var(axes, unbiased=False)
    return torch.nn.functional.batch_norm(x, None, None, p[f"{name}.gamma"], p[f"{name}.beta"], True, eps=1e-5)


def test_an_epoch_whose_last_mini_batch_is_smaller(rng: np.random.Generator) -> None:
    """21 examples in steps of 8, 8 and 5: each is normalized by its own statistics, and weighs the same in the running
    averages."""
    model = load(BATCHNORM, rng)
    xs, ys = data(model.network, 21, rng)
    learns = [q.name for q in model.network.parameters if q.learns]
    p = {name: torch.tensor(view.numpy(), requires_grad=name in learns) for name, view in model.parameters.items()}
    optimizer = torch.optim.SGD([p[name] for name in learns], lr=0.1)
    for start in (0, 8, 16):
        x, t = (torch.tensor(a[start : start + 8]) for a in (xs["image"], ys["output"]))
        y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), p["conv1.weight"].permute(3, 2, 0, 1))
        y = normalized(y, p, "batchnorm1", 0.9).relu().permute(0, 2, 3, 1).flatten(1)
        y = normalized(y @ p["dense1.weight"].T, p, "batchnorm2", 0.7, unbiased=True).tanh()
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(y @ p["dense2.weight"].T + p["dense2.bias"], t).backward()
        optimizer.step()
    model.fit(xs["image"], ys["output"], epochs=1)
    for name, view in model.parameters.items():
        assert_close(view.numpy(), p[name].detach().numpy(), 1e-9, name)


def test_a_mini_batch_of_one(rng: np.random.Generator) -> None:
    """PyTorch refuses it. By the formula a feature is its own mean and has no variance: what comes out is beta, no
    gradient goes back, and the running variance only fades."""
    model = load("net One {\n  input x: 5\n  dense(4) -> batchnorm\n}\n" + TRAIN, rng)
    xs, ys = data(model.network, 1, rng)
    before = model.copy_weights()
    beta, t = before["batchnorm1.beta"], ys["output"][0]
    assert_close(model.loss(xs, ys), ((beta - t) ** 2).mean(), 1e-12, "loss")
    gradients = model.gradients(xs, ys)
    assert_close(gradients["batchnorm1.beta"], 2 * (beta - t) / 4, 1e-12, "beta")
    assert all(np.abs(g).max() < 1e-12 for name, g in gradients.items() if name != "batchnorm1.beta")
    model.train_step(xs, ys)
    after, z = model.copy_weights(), before["dense1.weight"] @ xs["x"][0] + before["dense1.bias"]
    assert_close(after["batchnorm1.var"], 0.9 * before["batchnorm1.var"], 1e-12, "running variance")
    assert_close(after["batchnorm1.mean"], 0.9 * before["batchnorm1.mean"] + 0.1 * z, 1e-12, "running mean")


FROZEN = """net Frozen {
  input image: 5x4x2
  conv(3, 2x2, pad=same) -> batchnorm(freeze=on) -> tanh
  flatten -> dense(4) -> batchnorm(freeze=on) -> relu -> dense(2)
}
train {
  loss mse
  optimizer sgd(0.1)
  batch 6
}
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_frozen_it_does_in_training_what_it_does_at_prediction(dtype: str, rng: np.random.Generator) -> None:
    """With the running statistics, which stay; the gradients of what stands before are those of that formula."""
    model = load(FROZEN, rng, dtype)
    for n in (6, 1):
        assert_agrees(model, n, rng)
    xs, ys = data(model.network, 6, rng, dtype)
    before = model.copy_weights()
    assert_close(model.loss(xs, ys), ((model.predict(xs) - ys["output"]) ** 2).mean(), FORWARD[dtype], "loss")
    model.train_step(xs, ys)
    for name, array in model.copy_weights().items():
        assert np.array_equal(array, before[name]) == name.startswith("batchnorm"), name


def test_gradients_through_a_frozen_one_are_the_slopes_of_the_loss(rng: np.random.Generator) -> None:
    model = load(FROZEN.replace("relu", "tanh"), rng)
    assert_differentiates(model, *data(model.network, 6, rng), rng)


def test_frozen_gradients_are_pytorchs(rng: np.random.Generator) -> None:
    """There a module in `eval()` does it."""
    train = FROZEN.split("}\n", 1)[1]
    model = load("net F {\n  input x: 4\n  dense(3) -> batchnorm(freeze=on) -> dense(2)\n}\n" + train, rng)
    xs, ys = data(model.network, 6, rng)
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    hidden = torch.tensor(xs["x"]) @ p["dense1.weight"].T + p["dense1.bias"]
    statistics = (p["batchnorm1.mean"].detach(), p["batchnorm1.var"].detach())
    normal = torch.nn.functional.batch_norm(hidden, *statistics, p["batchnorm1.gamma"], p["batchnorm1.beta"], eps=1e-5)
    torch.nn.functional.mse_loss(
        normal @ p["dense2.weight"].T + p["dense2.bias"], torch.tensor(ys["output"])
    ).backward()
    assert_all_close(model.gradients(xs, ys), {n: p[n].grad.numpy() for n in model.gradients(xs, ys)}, 1e-12)


def test_a_frozen_one_of_many_channels(rng: np.random.Generator) -> None:
    """Too many for sums of rows: the plain kernels."""
    text = FROZEN.replace("input image: 5x4x2", "input image: 1x1x2").replace("conv(3, 2x2", "conv(5000, 1x1")
    assert_agrees(load(text, rng), 6, rng)
