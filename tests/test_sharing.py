"""Shared layers, and heads that only training computes, against the same network in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_torch_parity import flat, images, to_torch

import dslc
from dslc.compiler import check_text
from dslc.layers import Mode
from dslc.layers.distance import Distance
from dslc.losses.contrastive import Contrastive
from dslc.losses.triplet import Triplet
from helpers import assert_close, load

torch = pytest.importorskip("torch")
F = torch.nn.functional

TEXT = """net Pair {
  input left: 7x6x2
  input right: 7x6x2
  tower = shared {
    stem = conv(3, 3x3, name=stem, bias=off) -> batchnorm(variance=unbiased) -> tanh
    a, b = flatten -> dense(8) -> split
    code = multiply(a, b)
    code, stem
  }
  a, c = left -> tower
  b, d = right -> tower
  output class = add(c, d) -> flatten -> dense(3) -> softmax train_only
  output near = add(a, b) -> dense(1)
}
train {
  loss class: cross_entropy(weight=0.3)
  loss near: mse
  optimizer adam(0.01)
  regularize l2(0.2), max_norm(2)
  batch 12
}
"""


@pytest.mark.torch
def test_gradients_are_summed_over_the_calls_and_updated_once(rng: np.random.Generator, tmp_path: Path) -> None:
    """Both calls of the tower have one set of parameters, whose running averages both move; the head that only training
    computes has its share in the loss, and predictions are without it."""
    model = load(TEXT, rng)
    names = ["stem.weight", "dense1.weight", "dense1.bias"]
    assert [p.name for p in model.network.parameters if p.name.startswith(("stem", "dense1"))] == names
    p = {
        name: torch.tensor(to_torch(view.numpy()), requires_grad=not name.endswith((".mean", ".var")))
        for name, view in model.parameters.items()
    }
    optimizer = torch.optim.Adam([w for w in p.values() if w.requires_grad], lr=0.01)

    def tower(x: np.ndarray, training: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        y = F.conv2d(images(x), p["stem.weight"])
        running = (p["batchnorm1.mean"], p["batchnorm1.var"])
        stem = F.batch_norm(y, *running, p["batchnorm1.gamma"], p["batchnorm1.beta"], training, 0.1, 1e-5).tanh()
        code = F.linear(flat(stem), p["dense1.weight"], p["dense1.bias"])
        return code[:, :4] * code[:, 4:], stem

    for step in range(3):
        x = {name: rng.standard_normal((12, 7, 6, 2)) for name in ("left", "right")}
        y = {"near": rng.standard_normal((12, 1)), "class": rng.integers(0, 3, 12)}
        (a, c), (b, d) = tower(x["left"]), tower(x["right"])
        near = F.linear(a + b, p["dense4.weight"], p["dense4.bias"])
        classes = F.linear(flat(c + d), p["dense3.weight"], p["dense3.bias"])
        loss = F.mse_loss(near, torch.tensor(y["near"])) + 0.3 * F.cross_entropy(classes, torch.tensor(y["class"]))
        weights = [p[name] for name in ("stem.weight", "dense1.weight", "dense3.weight", "dense4.weight")]
        loss = loss + 0.2 / 24 * sum((w**2).sum() for w in weights)
        optimizer.zero_grad()
        loss.backward()
        for name, gradient in model.gradients(x, y).items():
            assert_close(to_torch(gradient), p[name].grad.numpy(), 1e-9, f"{name} {step}")
        optimizer.step()
        with torch.no_grad():
            for w in weights:
                norms = w.flatten(1).norm(dim=1).reshape(-1, *(1,) * (w.ndim - 1))
                w.mul_((2 / norms).clamp(max=1))
        assert model.train_step(x, y) == pytest.approx(float(loss.detach()), rel=1e-9)
        for name, view in model.parameters.items():
            assert_close(to_torch(view.numpy()), p[name].detach().numpy(), 1e-8, f"{name} {step}")
    left, right = (tower(x[name], training=False)[0] for name in ("left", "right"))
    near = F.linear(left + right, p["dense4.weight"], p["dense4.bias"]).detach().numpy()
    assert_close(model.predict(x), near, 1e-8, "prediction")
    assert model.evaluate(x, y)["loss"] == pytest.approx(float(((near - y["near"]) ** 2).mean()), rel=1e-6)
    model.save(tmp_path / "w.safetensors")
    again = dslc.loads(TEXT, dtype="float64")
    again.load_weights(tmp_path / "w.safetensors")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()


def test_predictions_leave_out_what_only_training_computes() -> None:
    network = check_text(TEXT)
    assert [head.name for head in network.heads] == ["near", "class"]
    assert [head.name for head in network.answers] == ["near"]
    assert "dense3" not in network.predicting and {"stem", "stem_2", "dense4"} <= network.predicting


def test_a_head_of_training_alone_learns_the_targets_of_the_first() -> None:
    text = """net Aux {
  input x: 4
  trunk = dense(5) -> tanh
  output aux = trunk -> dense(3) -> softmax train_only
  trunk -> dense(3) -> softmax
}
train {
  loss aux: cross_entropy(weight=0.5)
  loss output: cross_entropy
  optimizer adam(0.01)
}
"""
    model = dslc.loads(text, dtype="float64")
    x = np.random.default_rng(1).standard_normal((20, 4))
    words = np.array(["a", "b", "c"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)]
    history = model.fit(x, words, dev=(x, words), epochs=1)
    assert {"dev_loss", "dev_accuracy"} <= set(history.records[0])
    still = dslc.loads(text, dtype="float64", lr=1e-12)
    record = still.fit(x, words, dev=(x, words), epochs=1).records[0]  # its loss is of the heads that the dev set has
    assert record["loss"] == pytest.approx(record["dev_loss"], rel=1e-8)
    assert record["loss"] + record["auxiliary"] == pytest.approx(still.loss(x, words), rel=1e-8)
    shifted = np.roll(np.array(["a", "b", "c"]), 1)[np.searchsorted(["a", "b", "c"], words)]
    same = model.loss(x, {"output": words, "aux": words})
    assert model.loss(x, words) == same != model.loss(x, {"output": words, "aux": shifted})


@pytest.mark.torch
def test_distance_and_triplet_are_those_of_pytorch(rng: np.random.Generator) -> None:
    """Values and gradients of the references, with which the C is compared elsewhere."""
    anchor, near, far = (rng.standard_normal((6, 5)) for _ in range(3))
    near[2] = anchor[2]
    tensors = [torch.tensor(a, requires_grad=True) for a in (anchor, near, far)]
    wanted = F.triplet_margin_loss(*tensors, margin=0.7)
    wanted.backward()
    mode = Mode(training=True)
    to_near, to_far = (Distance().reference((anchor, other), {}, mode) for other in (near, far))
    loss, slope = Triplet(0.7).reference(to_near.y - to_far.y, np.zeros((6, 1)))
    assert loss == pytest.approx(wanted.item(), rel=1e-12)
    (first, by_near), _ = to_near.pull(slope)
    (second, by_far), _ = to_far.pull(-slope)
    for tensor, gradient in zip(tensors, (first + second, by_near, by_far), strict=True):
        assert_close(gradient, tensor.grad.numpy(), 1e-10, "gradient")
    distance = torch.tensor(to_near.y, requires_grad=True)
    same = torch.tensor(rng.integers(0, 2, (6, 1)).astype(np.float64))
    pairs = ((same * distance**2 + (1 - same) * (2 - distance).clamp(min=0) ** 2) / 2).mean()
    pairs.backward()
    loss, slope = Contrastive(2.0).reference(to_near.y, same.numpy())
    assert loss == pytest.approx(pairs.item(), rel=1e-12)
    assert_close(slope, distance.grad.numpy(), 1e-12, "slope")
