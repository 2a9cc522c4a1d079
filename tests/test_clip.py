"""Clipping by norm and by value: against the formula, PyTorch and the interpreter; the same bits with any threads."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import dslc
import dslc.clips
from dslc import registry
from dslc.clips import Clip
from dslc.runtime.model import Model
from helpers import FORWARD, assert_all_close, assert_close, data, interpreter, load

NET = """net Clipped {{
  input x: 9x8x3
  conv(5, 3x3) -> tanh -> batchnorm
  flatten -> dense(37) -> tanh
  dense(3) -> softmax
}}
train {{
  loss      cross_entropy
  optimizer {optimizer}
  regularize l1(0.2), l2(3)
  {clip}
  batch     8
}}
"""
NORM, VALUE = "clip norm(0.3)", "clip value(0.004)"


def clipped(clip: str, rng: np.random.Generator, dtype: str = "float64", optimizer: str = "sgd(1)") -> Model:
    return load(NET.format(clip=clip, optimizer=optimizer), rng, dtype)


def step_of(model: Model, *batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What one step of sgd(1) takes from every parameter that learns: the gradients as the optimizer saw them."""
    learning = [p.name for p in model.network.parameters if p.learns]
    before = model.copy_weights()
    model.train_step(*batch)
    after = model.copy_weights()
    return {name: before[name] - after[name] for name in learning}


def norm(gradients: dict[str, np.ndarray]) -> float:
    return float(np.linalg.norm(np.concatenate([g.ravel().astype(np.float64) for g in gradients.values()])))


def test_every_clip_is_tested_here() -> None:
    assert registry.names(dslc.clips) == ("norm", "value")
    assert all(issubclass(clip, Clip) for clip in registry.every(dslc.clips, Clip).values())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("clip", [NORM, VALUE])
def test_twenty_steps(clip: str, dtype: str, rng: np.random.Generator) -> None:
    """With an optimizer that remembers, on mini-batches of several sizes."""
    model = clipped(clip, rng, dtype, "sgd(0.05, momentum=0.9)")
    reference = interpreter(model)
    for step in range(20):
        xs, ys = data(model.network, 8 if step % 3 else 5, rng, dtype)
        wanted = reference.train_step(xs, ys, 0.05)
        assert_close(model.train_step(xs, ys), wanted, 10 * FORWARD[dtype], f"loss of step {step}")
    assert_all_close(model.copy_weights(), reference.parameters, 10 * FORWARD[dtype])


def test_norm_is_that_of_all_gradients_together(rng: np.random.Generator) -> None:
    """The step is as long as the limit and points where the gradients point, which stay unclipped themselves."""
    model = clipped(NORM, rng)
    batch = data(model.network, 8, rng)
    gradients = model.gradients(*batch)
    length = norm(gradients)
    assert length > 0.5, "nothing would be clipped"
    step = step_of(model, *batch)
    assert norm(step) == pytest.approx(0.3, rel=1e-12)
    assert_all_close(step, {name: g * (0.3 / length) for name, g in gradients.items()}, 1e-11)


def test_value_clips_each_element(rng: np.random.Generator) -> None:
    model = clipped(VALUE, rng)
    batch = data(model.network, 8, rng)
    gradients = model.gradients(*batch)
    everything = np.concatenate([g.ravel() for g in gradients.values()])
    assert everything.max() > 0.004 and everything.min() < -0.004 and (np.abs(everything) < 0.004).any()
    assert_all_close(step_of(model, *batch), {n: np.clip(g, -0.004, 0.004) for n, g in gradients.items()}, 1e-11)


@pytest.mark.parametrize("clip", ["clip norm(1e6)", "clip value(1e6)"])
def test_small_gradients_are_left_alone(clip: str, rng: np.random.Generator) -> None:
    """To the last bit: the scale is 1 and not nearly 1."""
    model, plain = clipped(clip, rng), clipped("", rng)
    for name, values in model.copy_weights().items():
        plain.parameters[name] = values
    batch = data(model.network, 8, rng)
    model.train_step(*batch)
    plain.train_step(*batch)
    assert all(np.array_equal(w, plain.copy_weights()[name]) for name, w in model.copy_weights().items())


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("clip", [NORM, VALUE])
def test_is_pytorchs(clip: str, rng: np.random.Generator) -> None:
    """clip_grad_norm_ divides by the norm + 1e-6: hence the tolerance."""
    import torch

    model = clipped(clip, rng)
    batch = data(model.network, 8, rng)
    learning = {name: torch.zeros(g.shape, dtype=torch.float64) for name, g in model.gradients(*batch).items()}
    for name, gradient in model.gradients(*batch).items():
        learning[name].grad = torch.tensor(gradient)
    if clip == NORM:
        torch.nn.utils.clip_grad_norm_(learning.values(), 0.3)
    else:
        torch.nn.utils.clip_grad_value_(learning.values(), 0.004)
    wanted = {name: values.grad.numpy() for name, values in learning.items()}
    assert_all_close(step_of(model, *batch), wanted, 1e-6 if clip == NORM else 1e-11)


def test_squares_that_float32_cannot_hold(rng: np.random.Generator) -> None:
    """Exploding gradients are what clipping is for: a norm of 1e23 has a square of 1e46."""
    train = "train {\n  loss mse\n  optimizer sgd(1)\n  clip norm(2)\n  batch 8\n}\n"
    text = f"net Big {{\n  input x: 4\n  dense(3)\n}}\n{train}"
    model = load(text, rng, "float32")
    for name, view in model.parameters.items():
        model.parameters[name] = np.zeros_like(view.numpy())
    x, y = np.full((8, 4), 1e5), np.full((8, 3), 1e18)
    assert norm(model.gradients(x, y)) > 1e22
    assert norm(step_of(model, x, y)) == pytest.approx(2, rel=1e-6)


def test_the_same_bits_with_any_number_of_threads(rng: np.random.Generator) -> None:
    text = NET.format(clip=NORM, optimizer="adam(0.01)").replace("dense(37)", "dense(301)")
    models = [dslc.loads(text, threads=threads) for threads in (1, 2, 3)]
    batches = [data(models[0].network, 8, rng, "float32") for _ in range(4)]
    results = []
    for model in models:
        losses = [model.train_step(*batch) for batch in batches]
        results.append((losses, {name: w.tobytes() for name, w in model.copy_weights().items()}))
    shared = [k for k in models[1].plan.step("train").kernels if k.operation.kind == "gradient_norm" and k.parallel]
    assert shared, "no sum was large enough to be shared"
    assert results[0] == results[1] == results[2]


def test_only_the_norm_keeps_gradients(rng: np.random.Generator) -> None:
    """A value is clipped on the way from the product to the weight; for the norm all gradients have to be stored."""

    def at_once(clip: str) -> bool:
        step = clipped(clip, rng).plan.step("train")
        assert step is not None
        return any(
            k.operation.kind == "dense_weight_gradient" and k.operation.name.endswith("_update") for k in step.kernels
        )

    assert at_once(VALUE)
    assert not at_once(NORM)
