"""max_norm after the update: against a loop over units, PyTorch's renorm and the interpreter, in every layout of
weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.summary import summarize
from dslc.compiler import check_file, check_text, plan_network
from dslc.runtime.model import Model
from dslc.target import Target
from helpers import FORWARD, WIDTHS, assert_all_close, assert_close, data, interpreter, load, randomize_parameters, runs

LIMIT = 1.5
NET = """net Bounded {{
  input x: 7x6x2
  conv(17, 3x3) -> tanh -> batchnorm
  conv(6, 2x2, pad=same, groups=1) -> tanh
  conv(6, 2x2, pad=same, groups=3) -> tanh
  flatten -> dense(19) -> tanh
  dense(3) -> softmax
}}
train {{
  loss       cross_entropy
  optimizer  {optimizer}
  {regularize}
  batch      8
}}
"""
BOUNDED = ("conv1", "conv2", "conv3", "dense1", "dense2")


def text(regularize: str = f"regularize max_norm({LIMIT})", optimizer: str = "sgd(0.5)") -> str:
    return NET.format(regularize=regularize, optimizer=optimizer)


def by_unit(w: np.ndarray) -> np.ndarray:
    """One row for each unit or filter."""
    return w if w.ndim == 2 else np.moveaxis(w, 3, 0).reshape(w.shape[3], -1)


def moved(rng: np.random.Generator) -> tuple[Model, Model]:
    """Two networks of the same weights after the same step: with max_norm and without."""
    bounded, free = load(text(), rng), load(text(""), rng)
    for name, values in bounded.copy_weights().items():
        free.parameters[name] = values
    batch = data(free.network, 8, rng)
    for model in (bounded, free):
        model.train_step(*batch)
    return bounded, free


def test_long_units_are_scaled_down_and_others_left_alone(rng: np.random.Generator) -> None:
    bounded, free = moved(rng)
    longer = shorter = 0
    for name, w in free.copy_weights().items():
        found = bounded.copy_weights()[name]
        if name.partition(".")[0] not in BOUNDED or name.endswith("bias"):
            assert np.array_equal(found, w), name
            continue
        for row, before in zip(by_unit(found), by_unit(w), strict=True):
            length = np.sqrt(np.sum(before * before))
            if length > LIMIT:
                assert np.allclose(row, before * LIMIT / length, rtol=1e-13, atol=0), name
            else:
                assert np.array_equal(row, before), name
            longer, shorter = longer + (length > LIMIT), shorter + (length <= LIMIT)
    assert longer > 10 and shorter > 5


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_is_pytorchs_renorm(rng: np.random.Generator) -> None:
    """torch.renorm divides by the norm + 1e-7: hence the tolerance."""
    import torch

    bounded, free = moved(rng)
    for layer in BOUNDED:
        w = free.copy_weights()[f"{layer}.weight"]
        wanted = torch.renorm(torch.tensor(w), p=2, dim=0 if w.ndim == 2 else 3, maxnorm=LIMIT).numpy()
        assert_close(bounded.copy_weights()[f"{layer}.weight"], wanted, 1e-6, layer)


@pytest.mark.parametrize("target", [t for t in WIDTHS if runs(t)], ids=lambda target: target.name)
def test_ten_steps(target: Target, rng: np.random.Generator) -> None:
    """In blocks of any width, plain rows and plain columns; then padding is zero and all units are short enough."""
    network = check_text(text(f"regularize max_norm({LIMIT}), l2(0.4)"))
    model = randomize_parameters(Model(network, target=target), rng)
    tolerance = 10 * FORWARD["float32"]
    reference = interpreter(model)
    for step in range(10):
        xs, ys = data(model.network, 8 if step % 2 else 5, rng, "float32")
        assert_close(model.train_step(xs, ys), reference.train_step(xs, ys, 0.5), tolerance, f"loss of step {step}")
    weights = model.copy_weights()
    assert_all_close(weights, reference.parameters, tolerance)
    for layer in BOUNDED:
        lengths = np.linalg.norm(by_unit(weights[f"{layer}.weight"].astype(np.float64)), axis=1)
        assert lengths.max() <= LIMIT * (1 + 1e-6), layer
        buffer = model.plan.kept[f"{layer}_weight"]
        memory = model.compiled.arena.view(buffer)
        assert np.array_equal(memory, buffer.layout.pack(buffer.layout.unpack(memory))), layer


def test_the_same_bits_with_any_number_of_threads(rng: np.random.Generator) -> None:
    wide = text(optimizer="adam(0.01)").replace("dense(19)", "dense(301)")
    models = [dslc.loads(wide, threads=threads) for threads in (1, 2, 3)]
    batches = [data(models[0].network, 8, rng, "float32") for _ in range(3)]
    results = []
    for model in models:
        losses = [model.train_step(*batch) for batch in batches]
        results.append((losses, {name: w.tobytes() for name, w in model.copy_weights().items()}))
    step = models[1].plan.step("train")
    assert step is not None
    assert any(k.operation.kind == "max_norm" and k.parallel for k in step.kernels), "nothing was shared"
    assert results[0] == results[1] == results[2]


def test_check_lists_what_it_touches(tmp_path: Path) -> None:
    """Frozen weights are left alone; a layer's own l2 replaces penalties, not a constraint."""
    spec = tmp_path / "bounded.net"
    spec.write_text(text("regularize max_norm(2), l2(0.1)\n  freeze conv2").replace("dense(19)", "dense(19, l2=0.5)"))
    network = check_file(spec)
    assert dict(summarize(network, plan_network(network)).regularized) == {
        "l2(0.1)": ("conv1.weight", "conv3.weight", "dense2.weight"),
        "l2(0.5)": ("dense1.weight",),
        "max_norm(2)": ("conv1.weight", "conv3.weight", "dense1.weight", "dense2.weight"),
    }
