"""layernorm and lrn against PyTorch's, and the same bits with any number of threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dslc
from helpers import Arrays, assert_close, data, load, shake

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


CASES = {
    "layernorm(eps=1e-3)": layernorm,
    "lrn": lrn(5, 1e-4, 0.75, 2.0),
    "lrn(size=3, alpha=0.4, beta=0.6, k=0.5)": lrn(3, 0.4, 0.6, 0.5),
}


@pytest.mark.parametrize("text", CASES)
def test_agrees_with_pytorch(text: str, rng: np.random.Generator) -> None:
    model = load(NET.format(channels=9, layer=text) + TRAIN, rng)
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    xs, ys = data(model.network, 7, rng)
    y = torch.einsum("nhwc,ck->nhwk", torch.tensor(xs["image"]), p["conv1.weight"][0, 0]) + p["conv1.bias"]
    result = CASES[text](y, p)
    assert_close(model.predict(xs), result.detach().numpy(), 1e-10, "prediction")
    torch.nn.functional.mse_loss(result, torch.tensor(ys["output"])).backward()
    for name, gradient in model.gradients(xs, ys).items():
        assert_close(gradient, p[name].grad.numpy(), 1e-9, name)


@pytest.mark.parametrize("text", ["layernorm", "lrn"])
def test_the_same_bits_with_any_number_of_threads(text: str, rng: np.random.Generator) -> None:
    """Large enough that the work is shared."""
    text = NET.replace("5x6", "20x20").format(channels=70, layer=text) + TRAIN
    models = [shake(dslc.loads(text, threads=n), np.random.default_rng(1)) for n in (1, 3)]
    shared = {k.operation.kind for s in models[1].plan.steps for k in s.kernels if k.parallel}
    assert text.split("-> ")[1].split("\n")[0] in shared
    xs, ys = data(models[0].network, 8, rng, "float32")
    results = [(m.train_step(xs, ys), m.predict(xs).tobytes()) for m in models]
    assert results[0] == results[1]
    weights = [{name: w.tobytes() for name, w in m.copy_weights().items()} for m in models]
    assert weights[0] == weights[1]
