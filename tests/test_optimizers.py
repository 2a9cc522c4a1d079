"""Every optimizer against its reference over fifty steps; regularizers, schedules, padding, frozen layers."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest

import dslc.optimizers
import dslc.regularizers
import dslc.schedules
from dslc import registry
from dslc.operation import identifier, state_name
from dslc.optimizers import Optimizer
from dslc.regularizers import Penalty, Regularizer
from dslc.runtime.model import Model
from dslc.schedules import Schedule
from helpers import assert_all_close, assert_close, assert_differentiates, data, interpreter, load, state_of

OPTIMIZERS = registry.every(dslc.optimizers, Optimizer)
EXAMPLES = [text for optimizer in OPTIMIZERS.values() for text in optimizer.examples]

NET = """net Learner {{
  input x: 6x5x2
  conv(5, 3x3) -> tanh -> batchnorm{frozen_batchnorm}
  flatten -> dense(19{frozen_dense}) -> tanh
  dense(3) -> softmax
}}
train {{
  loss      cross_entropy
  optimizer {optimizer}
  {more}
  batch     8
}}
"""


def learner(
    rng: np.random.Generator,
    optimizer: str = "sgd(0.1)",
    more: str = "regularize l1(0.02), l2(0.3)",
    frozen_dense: str = "",
    frozen_batchnorm: str = "",
) -> Model:
    text = NET.format(optimizer=optimizer, more=more, frozen_dense=frozen_dense, frozen_batchnorm=frozen_batchnorm)
    return load(text, rng)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_has_an_example(name: str) -> None:
    assert OPTIMIZERS[name].examples
    assert all(text.partition("(")[0] == name for text in OPTIMIZERS[name].examples)


@pytest.mark.parametrize("optimizer", EXAMPLES)
def test_fifty_steps(optimizer: str, rng: np.random.Generator) -> None:
    """Every step's loss and, at the end, every weight, bias and state; then the padding of packed arrays is zero."""
    model = learner(rng, optimizer)
    reference, start = interpreter(model), model.copy_weights()
    for step in range(50):
        xs, ys = data(model.network, 8 if step % 3 else 5, rng)
        wanted = reference.train_step(xs, ys, model.learning_rate(0))
        assert_close(model.train_step(xs, ys), wanted, 1e-12, f"loss of step {step}")
        if step == 0:
            assert all((view.numpy() != start[name]).all() for name, view in model.parameters.items())
    assert model.step == 50
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)
    for p in model.network.parameters:
        for state in model.training.optimizer.states if p.learns else ():
            wanted = reference.states[p.name][state]
            assert_close(state_of(model, p.name, state), wanted, 1e-12, f"{state} of {p.name}")
    assert_padding_is_zero(model)


def assert_padding_is_zero(model: Model) -> None:
    """The lanes behind a packed array's last row hold zeros: vectors read them."""
    padded = 0
    for p in model.network.parameters:
        states = model.training.optimizer.states if p.learns else ()
        gradients = [f"{identifier(p.name)}_grad"] if p.learns else []
        for name in (identifier(p.name), *gradients, *(state_name(p.name, s) for s in states)):
            buffer = model.plan.kept[name]
            memory = model.compiled.arena.view(buffer)
            padded += buffer.layout.elements > prod(p.shape)
            assert np.array_equal(memory, buffer.layout.pack(buffer.layout.unpack(memory))), name
    assert padded, "no array of this network has padding: this machine's vectors are too narrow for the test"


@pytest.mark.parametrize("optimizer", EXAMPLES)
def test_a_checkpoint_keeps_the_states(optimizer: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """What goes on from a checkpoint has the bits of what never stopped."""
    model = learner(rng, optimizer)
    batches = [data(model.network, 8, rng) for _ in range(6)]
    for batch in batches[:3]:
        model.train_step(*batch)
    model.checkpoint(tmp_path / "taken")
    resumed = learner(rng, optimizer)
    resumed.resume(tmp_path / "taken")
    for batch in batches[3:]:
        assert model.train_step(*batch) == resumed.train_step(*batch)
    assert_all_close(resumed.copy_weights(), model.copy_weights(), 0)


@pytest.mark.parametrize("optimizer", ["lamb(0.1)", "lars(0.1, trust=0.5)"])
def test_norms_of_nothing(optimizer: str, rng: np.random.Generator) -> None:
    """Weights of 0, whose norm is no measure of a step, with gradients clipped by their joint norm."""
    model = learner(rng, optimizer, "clip norm(0.5)")
    model.parameters["dense2.weight"] = np.zeros((3, 19))
    reference = interpreter(model)
    for _ in range(3):
        xs, ys = data(model.network, 8, rng)
        model.train_step(xs, ys)
        reference.train_step(xs, ys, 0.1)
    assert np.abs(model.parameters["dense2.weight"].numpy()).min() > 0
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adam(0.01)", "nadam(0.01, beta1=0.999)"])
def test_bias_correction_far_into_training(optimizer: str, dtype: str, rng: np.random.Generator) -> None:
    """The powers and products of beta at step 1001."""
    model = load(NET.format(optimizer=optimizer, more="", frozen_dense="", frozen_batchnorm=""), rng, dtype)
    model.compiled.net.step = 1000
    reference = interpreter(model)
    assert reference.step == 1000
    xs, ys = data(model.network, 8, rng, dtype)
    model.train_step(xs, ys)
    reference.train_step(xs, ys, 0.01)
    assert_all_close(
        model.copy_weights(), reference.parameters, {"float64": 1e-12, "float32": 2e-5}[dtype]
    )  # gradients round


# ------------------------------------------------------------------------------------------- regularizers

PENALTIES = {"l1": lambda w: np.abs(w).sum(), "l2": lambda w: (w**2).sum() / 2}


def test_every_penalty_has_a_formula_here() -> None:
    found = registry.every(dslc.regularizers, Regularizer).items()
    assert {name for name, kind in found if issubclass(kind, Penalty)} == PENALTIES.keys()


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name: str, rng: np.random.Generator) -> None:
    """lambda / m times the formula, over the weights and not the biases; and its slope."""
    model = learner(rng, more=f"regularize {name}(0.7)")
    plain = learner(rng, more="")
    for p, values in model.copy_weights().items():
        plain.parameters[p] = values
    xs, ys = data(model.network, 7, rng)
    weights = model.copy_weights()
    penalty = sum(PENALTIES[name](weights[f"{layer}.weight"]) for layer in ("conv1", "dense1", "dense2"))
    assert model.loss(xs, ys) == pytest.approx(plain.loss(xs, ys) + 0.7 / 7 * penalty, rel=1e-13)
    assert_differentiates(model, xs, ys, rng)


def test_a_layer_has_penalties_of_its_own(rng: np.random.Generator) -> None:
    model = learner(rng, more="regularize l2(0.5)", frozen_dense=", l1=0.25")
    reference = interpreter(model)
    xs, ys = data(model.network, 8, rng)
    kinds = {p.name: [(type(r).__name__, r.strength) for r in p.regularizers] for p in model.network.parameters}
    assert kinds["dense1.weight"] == [("L1", 0.25)]
    assert kinds["dense2.weight"] == [("L2", 0.5)]
    assert kinds["dense2.bias"] == []
    loss, gradients, _ = reference.loss_and_gradients(xs, ys)
    assert_close(model.loss(xs, ys), loss, 1e-12, "loss")
    assert_all_close(model.gradients(xs, ys), gradients, 1e-12)


# ------------------------------------------------------------------------------------------- schedules

SCHEDULES = {
    "exponential(rate=0.9)": lambda epoch: 0.9**epoch,
    "inverse_time(rate=0.3)": lambda epoch: 1 / (1 + 0.3 * epoch),
    "cosine(epochs=10, min=0.02)": lambda epoch: (
        (0.02 + 0.18 * (1 + np.cos(np.pi * epoch / 10)) / 2) / 0.2 if epoch < 10 else 0.1
    ),
    "milestones((3, 8), factor=0.1)": lambda epoch: 1 if epoch < 3 else 0.1 if epoch < 8 else 0.01,
    "poly(power=2, epochs=10, end=0.02)": lambda epoch: 0.1 + 0.9 * ((10 - epoch) / 10) ** 2 if epoch < 10 else 0.1,
    "step(every=3, factor=0.1)": lambda epoch: [1, 0.1, 0.01, 0.001][epoch // 3],
}


def test_every_schedule_has_a_formula_here() -> None:
    names = registry.every(dslc.schedules, Schedule).keys()
    elsewhere = {"warmup", "one_cycle", "plateau"}  # the last two in test_schedules.py
    assert names == {*elsewhere, *(text.partition("(")[0] for text in SCHEDULES)}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule: str, rng: np.random.Generator) -> None:
    """The formula over twelve epochs, and that a step really uses the epoch's learning rate."""
    model = learner(rng, "sgd(0.2)", f"schedule {schedule}")
    for epoch in range(12):
        assert model.learning_rate(epoch) == pytest.approx(0.2 * SCHEDULES[schedule](epoch), rel=1e-14)
    xs, ys = data(model.network, 8, rng)
    model.epoch = 7
    before, gradients = model.copy_weights(), model.gradients(xs, ys)
    model.train_step(xs, ys)
    for name, gradient in gradients.items():
        wanted = before[name] - 0.2 * SCHEDULES[schedule](7) * gradient
        assert_close(model.parameters[name].numpy(), wanted, 1e-14, name)


@pytest.mark.parametrize("behind", ["", " -> cosine(epochs=2)"])
def test_warmup_counts_mini_batches(behind: str, rng: np.random.Generator) -> None:
    """`fit` over two epochs of 3 + 3 mini-batches, the last of each smaller: every one has its own learning rate."""
    model = learner(rng, "sgd(0.2)", f"schedule warmup(steps=4){behind}\n  shuffle off")
    xs, ys = data(model.network, 21, rng)
    reference = interpreter(model)
    cosine = [1, 0.5] if behind else [1, 1]
    for step in range(6):
        part = slice(step % 3 * 8, step % 3 * 8 + 8)
        lr = 0.2 * min(1, (step + 1) / 4) * cosine[step // 3]
        reference.train_step({"x": xs["x"][part]}, {"output": ys["output"][part]}, lr)
    history = model.fit(xs, ys, epochs=2)
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)
    assert model.step == 6
    assert [r["lr"] for r in history.records] == pytest.approx([0.15, 0.2 * cosine[1]], rel=1e-14)


def test_without_a_schedule_the_learning_rate_stays(rng: np.random.Generator) -> None:
    model = learner(rng, "sgd(0.2)")
    assert {model.learning_rate(epoch) for epoch in range(9)} == {0.2}


# ------------------------------------------------------------------------------------------- frozen layers


@pytest.mark.parametrize(
    "frozen",
    [
        {"more": "freeze dense1, batchnorm1"},
        {"more": "regularize l2(1)", "frozen_dense": ", freeze=on", "frozen_batchnorm": "(freeze=on)"},
    ],
    ids=["in train", "at the layer"],
)
def test_frozen_layers_do_not_move(frozen: dict[str, str], rng: np.random.Generator) -> None:
    """And what stands before them still learns, through them."""
    model = learner(rng, "adamw(0.05)", **frozen)
    reference, before = interpreter(model), model.copy_weights()
    for _ in range(5):
        xs, ys = data(model.network, 8, rng)
        model.train_step(xs, ys)
        reference.train_step(xs, ys, 0.05)
    after = model.copy_weights()
    still = {name for name in before if name.startswith(("dense1.", "batchnorm1."))}
    assert len(still) == 6 and still.isdisjoint(model.gradients(xs, ys))
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name in still), name
    assert_all_close(after, reference.parameters, 1e-12)


# ------------------------------------------------------------------------------------------- settings of a layer


@pytest.mark.parametrize("more", ["", "schedule step(every=1, factor=0.5)", "clip norm(0.01)"])
def test_a_layer_learns_at_a_rate_of_its_own(more: str, rng: np.random.Generator) -> None:
    """From the same gradients, twice the step; the other layers as without it."""
    fast, plain = learner(rng, "sgd(0.1)", more, frozen_dense=", lr_factor=2"), learner(rng, "sgd(0.1)", more)
    for name, values in plain.copy_weights().items():
        fast.parameters[name] = values
    before, batch = plain.copy_weights(), data(plain.network, 8, rng)
    for model in (fast, plain):
        model.epoch = 1
        model.train_step(*batch)
    for name, view in plain.parameters.items():
        factor = 2 if name.startswith("dense1.") else 1
        wanted = factor * (view.numpy() - before[name])
        assert_close(fast.parameters[name].numpy() - before[name], wanted, 1e-12, name)
    assert fast.learning_rate(1) == plain.learning_rate(1)


def test_a_layers_own_rate_and_max_norm(rng: np.random.Generator) -> None:
    """lr_factor with decay, states and max_norm of one layer, against the interpreter."""
    model = learner(
        rng, "adamw(0.05, weight_decay=0.3, amsgrad=on)", "regularize max_norm(2)", ", lr_factor=0.25, max_norm=0.9"
    )
    limits = {p.name: [c.strength for c in p.constraints] for p in model.network.parameters}
    assert limits["dense1.weight"] == [0.9] and limits["dense2.weight"] == [2.0] and limits["dense1.bias"] == []
    reference = interpreter(model)
    for _ in range(5):
        xs, ys = data(model.network, 8, rng)
        model.train_step(xs, ys)
        reference.train_step(xs, ys, 0.05)
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)
    norms = np.sqrt((model.parameters["dense1.weight"].numpy() ** 2).sum(axis=1))
    assert norms.max() <= 0.9 * (1 + 1e-12)


# ------------------------------------------------------------------------------------------- mini-batches


def test_the_notes_partition(rng: np.random.Generator) -> None:
    """Shuffled, each example is used once an epoch with its own target, and only the last mini-batch is smaller.

    Example i is the i-th unit vector: it alone moves weight i, by lr * 2 (target - 0) / (size of its mini-batch).
    """
    model = load(
        "net Sizes {\n  input x: 21\n  dense(1, bias=off)\n}\n"
        "train {\n  loss mse\n  optimizer sgd(0.5)\n  batch 8\n  seed 3\n}\n",
        rng,
    )
    model.parameters["dense1.weight"] = np.zeros((1, 21))
    targets = 1.0 + np.arange(21)
    model.fit(np.eye(21), targets, epochs=1)
    sizes = targets / model.parameters["dense1.weight"].numpy()[0]
    assert model.step == 3
    assert sorted(np.rint(sizes)) == [5] * 5 + [8] * 16
    assert np.allclose(sizes, np.rint(sizes), rtol=1e-13)
    assert list(np.rint(sizes)) != [8] * 16 + [5] * 5, "the order was not shuffled"
