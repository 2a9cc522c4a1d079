"""`memory low` and `memory 500MB`: activations that are computed again, with the same bits as those that are kept."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.cli.summary import summarize
from dslc.compiler import check_text, plan_network
from dslc.language.diagnostics import SpecError
from dslc.planning.verifier import verify_plan
from dslc.runtime.model import Model
from helpers import REPO

PICTURES = """
net Pictures {
  input image: 16x16x3
  noise(0.1)
  conv(8, 3, pad=same) -> batchnorm -> relu
  a = conv(8, 3, pad=same) -> batchnorm -> relu
  b = a -> conv(8, 3, pad=same) -> batchnorm -> dropout(0.3)
  add(a, b) -> relu -> maxpool(2)
  conv(16, 3, pad=same) -> tanh -> dropout(0.4)
  conv(16, 3, pad=same) -> batchnorm -> relu -> maxpool(2)
  flatten -> dense(20) -> relu -> dropout(0.5) -> dense(10) -> softmax
}
"""
WORDS = """
net Words {
  input x: 12x8
  gru(16) -> dropout(0.2)
  lstm(16)
  attention(heads=2)
  dense(16) -> gelu -> layernorm
  dense(16) -> tanh
  flatten -> dense(5) -> softmax
}
"""
BLOCKS = """
net Blocks {
  input image: 32x32x3
  conv(16, 3, pad=same) -> relu
  conv(16, 3, pad=same) -> relu -> maxpool(2)
  flatten -> dense(10) -> softmax
}
"""
TRAIN = """
train {{
  loss       cross_entropy
  optimizer  adam(lr=0.01)
  regularize l2(0.01)
  batch      {batch}
  {memory}
}}
"""
SHAPES = {PICTURES: ((16, 16, 3), 10), WORDS: ((12, 8), 5), BLOCKS: ((32, 32, 3), 10)}


def trained(net: str, memory: str, batch: str) -> tuple[Model, list[float], dict[str, np.ndarray]]:
    """A model after three steps of ten examples, their losses, and its parameters, state and gradients."""
    model = dslc.loads(net + TRAIN.format(batch=batch, memory=memory), threads=2)
    random, (shape, classes) = np.random.default_rng(0), SHAPES[net]
    x, y = random.random((10, *shape), np.float32), random.integers(0, classes, 10)
    losses = [model.train_step(x, y) for _ in range(3)]
    found = dict(model.copy_weights())
    found |= {name: view.numpy() for name, view in model.compiled.states().items()}
    return model, losses, found | {f"gradient of {name}": g for name, g in model.gradients(x, y).items()}


@pytest.mark.parametrize(("net", "batch"), [(PICTURES, "10"), (WORDS, "10 in 2"), (BLOCKS, "32")])
def test_the_same_bits(net: str, batch: str) -> None:
    """Of losses, parameters, running averages, optimizer state and gradients: masks are drawn alike, running averages
    move once, and a derivative of relu is applied where the gradient lies."""
    _, losses, kept = trained(net, "", batch)
    model, again_losses, again = trained(net, "memory low", batch)
    step = model.plan.step("train")
    assert model.plan.recomputation is not None and step is not None
    assert any(k.operation.kind == "apply_epilogue" for k in step.kernels) == (net == BLOCKS)
    assert losses == again_losses
    for name in kept:
        assert kept[name].tobytes() == again[name].tobytes(), name


def test_bytes() -> None:
    """What `check` tells is what is allocated, less than with everything kept; a limit between the two is met, by less
    work than for the least."""
    plans = {m: plan_network(check_text(PICTURES + TRAIN.format(batch=10, memory=m))) for m in ("", "memory low")}
    whole, least = (plan.arena_bytes(True) for plan in plans.values())
    between = (whole + 2 * least) // 3
    network = check_text(PICTURES + TRAIN.format(batch=10, memory=f"memory {between}"))
    model = Model(network)
    told = summarize(network, model.plan).memory
    assert least < model.memory_bytes == told.training <= between < whole
    assert told.recomputed and told.kept_activations == plans[""].bytes("activations")
    assert told.training_activations == model.plan.bytes("activations") < told.kept_activations

    def work(plan: object) -> int:
        return sum(k.operation.multiply_adds for k in plan.step("train").kernels if k.operation.again)  # type: ignore[attr-defined]

    assert 0 < work(model.plan) <= work(plans["memory low"])
    roomy = plan_network(check_text(PICTURES + TRAIN.format(batch=10, memory="memory 1GB")))
    assert roomy.arena_bytes(True) == whole and roomy.recomputation is None


def test_a_limit_out_of_reach() -> None:
    """The error names the least that is possible, which is possible."""
    text = PICTURES + TRAIN.format(batch=10, memory="memory 10kB")
    with pytest.raises(SpecError) as caught:
        plan_network(check_text(text))
    (found,) = caught.value.diagnostics
    assert found.span.text == "10kB"
    least = found.least  # type: ignore[attr-defined]
    assert plan_network(check_text(text.replace("10kB", str(least)))).arena_bytes(True) <= least


@pytest.mark.slow
def test_large_networks() -> None:
    """Their plans hold, and what is computed again is at most a forward pass."""
    for name in ("vgg16", "residual"):
        text = (REPO / "specs" / f"{name}.net").read_text().replace("train {", "train {\n  memory low")
        plan = plan_network(check_text(text))
        verify_plan(plan)
        assert plan.recomputation is not None
        assert plan.arena_bytes(True) < plan.recomputation.training
        step = plan.step("train")
        assert step is not None
        forward = sum(k.operation.multiply_adds for k in step.phase("forward").kernels)
        again = sum(k.operation.multiply_adds for k in step.kernels if k.operation.again)
        assert again <= 1.1 * forward
