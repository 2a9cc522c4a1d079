"""A small GPT against the same network of PyTorch's modules: what it predicts, its loss, and all gradients."""

from __future__ import annotations

import numpy as np
import pytest

from dslc.runtime.model import Model
from helpers import REPO, assert_close, load

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.torch

BLOCKS = 3


def small(rng: np.random.Generator) -> Model:
    """The spec that ships, narrower and with fewer steps."""
    text = (REPO / "specs/char_gpt.net").read_text()
    return load(text.replace("input text: 64", "input text: 13").replace("param width = 64", "param width = 12"), rng)


def logits(p: dict[str, torch.Tensor], text: torch.Tensor) -> torch.Tensor:
    x = F.embedding(text, p["embedding1.weight"]) + p["positional1.weight"]
    steps, width = x.shape[1:]
    later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
    for i in range(BLOCKS):
        h = F.layer_norm(x, (width,), p[f"layernorm{2 * i + 1}.gamma"], p[f"layernorm{2 * i + 1}.beta"]).transpose(0, 1)
        weights = [
            p[f"attention{i + 1}.{role}"] for role in ("weight_input", "bias_input", "weight_output", "bias_output")
        ]
        h, _ = F.multi_head_attention_forward(
            h, h, h, width, 4, weights[0], weights[1], None, None, False, 0.0, weights[2], weights[3],
            attn_mask=later, need_weights=False,
        )  # fmt: skip
        x = x + h.transpose(0, 1)
        h = F.layer_norm(x, (width,), p[f"layernorm{2 * i + 2}.gamma"], p[f"layernorm{2 * i + 2}.beta"])
        h = F.gelu(F.linear(h, p[f"dense{2 * i + 1}.weight"], p[f"dense{2 * i + 1}.bias"]), approximate="tanh")
        x = x + F.linear(h, p[f"dense{2 * i + 2}.weight"], p[f"dense{2 * i + 2}.bias"])
    last = 2 * BLOCKS + 1
    x = F.layer_norm(x, (width,), p[f"layernorm{last}.gamma"], p[f"layernorm{last}.beta"])
    return F.linear(x, p[f"dense{last}.weight"], p[f"dense{last}.bias"])


def test_small_gpt(rng: np.random.Generator) -> None:
    model = small(rng)
    text = rng.integers(0, 96, (5, 14))
    x, y = text[:, :-1], np.where(rng.random((5, 13)) < 0.2, -100, text[:, 1:])
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    z = logits(p, torch.tensor(x))
    loss = F.cross_entropy(z.mT, torch.tensor(y))
    loss.backward()
    assert_close(model.predict(x), z.softmax(-1).detach().numpy(), 1e-11, "probabilities")
    assert model.loss(x, y) == pytest.approx(loss.item(), rel=1e-12)
    for name, gradient in model.gradients(x, y).items():
        assert_close(gradient, p[name].grad.numpy(), 1e-9, name)
