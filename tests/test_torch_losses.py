"""Losses and their gradients against PyTorch's, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dslc.losses
from dslc import registry
from dslc.losses import Loss
from helpers import assert_close, data, load

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

Formula = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
LOSSES = registry.every(dslc.losses, Loss)


def focal(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """sigmoid_focal_loss of torchvision, written out."""
    p = torch.sigmoid(z)
    p_t = p * t + (1 - p) * (1 - t)
    plain = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    return ((0.4 * t + 0.6 * (1 - t)) * plain * (1 - p_t) ** 1.5).mean()


def pinball(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.maximum(0.8 * (t - z), (0.8 - 1) * (t - z)).mean()


def dice(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The DiceLoss of MONAI for one map, with sigmoid=True, smooth_nr=smooth_dr=0.5."""
    p = torch.sigmoid(z)
    return (1 - (2 * (p * t).sum(1) + 0.5) / (p.sum(1) + t.sum(1) + 0.5)).mean()


TWINS: dict[str, Formula] = {
    "poisson": lambda z, t: F.poisson_nll_loss(F.softplus(z), t, log_input=False, eps=0),
    "focal(gamma=1.5, alpha=0.4)": focal,
    "quantile(0.8)": pinball,
    "log_cosh": lambda z, t: torch.log(torch.cosh(z - t)).mean(),
    "dice(smooth=0.5)": dice,
    "kl_divergence": lambda z, t: F.kl_div(F.log_softmax(z, 1), t, reduction="batchmean"),
}


def test_classes_of_pixels(rng: np.random.Generator) -> None:
    """CrossEntropyLoss over the channels with its ignore_index; dslc's channels come last."""
    model = load(
        "net Judged {\n  input x: 5x4x2\n  conv(3, 1x1) -> softmax\n}\n"
        "train {\n  loss pixel_cross_entropy\n  optimizer sgd(0.1)\n  batch 9\n}\n",
        rng,
    )
    xs, _ = data(model.network, 6, rng)
    labels = np.where(rng.random((6, 5, 4)) < 0.3, 255, rng.integers(0, 3, (6, 5, 4)))
    w = torch.tensor(model.parameters["conv1.weight"].numpy()[0, 0].T, requires_grad=True)
    b = torch.tensor(model.parameters["conv1.bias"].numpy(), requires_grad=True)
    logits = F.linear(torch.tensor(xs["x"]), w, b).permute(0, 3, 1, 2)
    loss = F.cross_entropy(logits, torch.tensor(labels), ignore_index=255)
    loss.backward()
    assert model.loss(xs, labels) == pytest.approx(loss.item(), rel=1e-12)
    gradients = model.gradients(xs, labels)
    assert_close(gradients["conv1.weight"][0, 0].T, w.grad.numpy(), 1e-11, "weight")
    assert_close(gradients["conv1.bias"], b.grad.numpy(), 1e-11, "bias")


@pytest.mark.parametrize("text", TWINS)
def test_loss_and_gradients(text: str, rng: np.random.Generator) -> None:
    last = LOSSES[text.partition("(")[0]].through or "linear"
    model = load(
        f"net Judged {{\n  input x: 4\n  dense(5) -> {last}\n}}\n"
        f"train {{\n  loss {text}\n  optimizer sgd(0.1)\n  batch 9\n}}\n",
        rng,
    )
    xs, ys = data(model.network, 9, rng)
    target = ys["output"]
    if text == "kl_divergence":
        target[2] = [0, 1, 0, 0, 0]
    w, b = (torch.tensor(model.parameters[f"dense1.{role}"].numpy(), requires_grad=True) for role in ("weight", "bias"))
    loss = TWINS[text](F.linear(torch.tensor(xs["x"]), w, b), torch.tensor(target))
    loss.backward()
    assert model.loss(xs, target) == pytest.approx(loss.item(), rel=1e-12)
    gradients = model.gradients(xs, target)
    assert_close(gradients["dense1.weight"], w.grad.numpy(), 1e-11, "weight")
    assert_close(gradients["dense1.bias"], b.grad.numpy(), 1e-11, "bias")
