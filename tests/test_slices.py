"""Gradient accumulation: a mini-batch in slices gives what it gives at once, in the memory of a slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text, plan_network
from dslc.language.diagnostics import DataError
from dslc.planning.plan_error import PlanError
from dslc.planning.verifier import verify_plan
from dslc.proofs.verify import verify
from dslc.runtime.model import Model
from helpers import assert_all_close, assert_close, data, interpreter, load, spoil_memory, state_of

TRAIN = """train {
  LOSS
  optimizer OPTIMIZER
  batch 12 in 3
  seed 5
  MORE
}
"""

NETS = {
    "dropout of odd vectors": """net A {
  input x: 7
  dense(9) -> tanh -> dropout(0.3) -> dense(5) -> dropout(keep=0.5) -> dense(3) -> softmax
}
""",
    "dropped channels and examples": """net A2 {
  input image: 4x3x5
  conv(7, 1x1) -> spatial_dropout(0.3) -> tanh -> conv(50, 1x1) -> spatial_dropout(0.3)
  drop_path(0.4) -> flatten -> dense(3) -> softmax
}
""",
    "augmented images": """net B {
  input image: 6x5x3
  flip(horizontal) -> shift(2) -> rotate(30) -> crop(5x5) -> noise(0.2)
  conv(9, 3x3, pad=same) -> relu -> maxpool(2x2)
  flatten -> dense(3) -> softmax
}
""",
    "batch norm": """net C {
  input image: 5x5x2
  conv(6, 3x3, bias=off) -> batchnorm(momentum=0.7) -> relu
  flatten -> dense(4, bias=off) -> batchnorm -> dense(3) -> softmax
}
""",
    "narrow filters": """net D {
  input image: 9x8x6
  conv(6, 3x3, groups=3) -> relu -> conv(17, 3x3, stride=2)
  flatten -> dense(3) -> softmax
}
""",
}
TWO_HEADS = """net E {
  input x: 5
  h = dense(8) -> tanh
  output kind = h -> dense(4) -> softmax
  output price = h -> dense(2)
}
"""


def text_of(net: str, loss: str = "loss cross_entropy", optimizer: str = "adam(0.01)", more: str = "") -> str:
    return net + TRAIN.replace("LOSS", loss).replace("OPTIMIZER", optimizer).replace("MORE", more)


def assert_steps_agree(model: Model, counts: tuple[int, ...], rng: np.random.Generator, missing: float = 0.0) -> None:
    """Loss, gradients and a step of mini-batches of these sizes, against NumPy, which takes them at once."""
    tolerance = 1e-12 if model.dtype == np.float64 else 2e-5
    for n in counts:
        xs, ys = data(model.network, n, rng, str(model.dtype))
        for name, y in ys.items():
            if y.dtype == np.float64 and missing:
                ys[name] = np.where(rng.random(y.shape) < missing, np.nan, y)
        reference = interpreter(model)
        loss, gradients, _ = reference.loss_and_gradients(xs, ys)
        spoil_memory(model)
        assert_close(model.loss(xs, ys), loss, tolerance, "loss")
        spoil_memory(model)
        assert_all_close(model.gradients(xs, ys), gradients, tolerance)
        reference.train_step(xs, ys, model.learning_rate(0))
        spoil_memory(model)
        assert_close(model.train_step(xs, ys), loss, tolerance, "loss of the step")
        assert_all_close(model.copy_weights(), reference.parameters, tolerance)
        for name, states in reference.states.items():
            for state, array in states.items():
                assert_close(state_of(model, name, state), array, 10 * tolerance, f"{name}.{state}")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("net", NETS)
def test_as_at_once(net: str, threads: int, rng: np.random.Generator) -> None:
    """Whole mini-batches, parts of one, one slice, one example: what is drawn goes by the place in the mini-batch."""
    model = load(text_of(NETS[net]), rng, threads=threads)
    assert (model.batch, model.plan.batch) == (12, 4)
    assert_steps_agree(model, (12, 7, 9, 4, 3) if net == "batch norm" else (12, 7, 9, 4, 1), rng)


@pytest.mark.parametrize(
    ("optimizer", "more"),
    [
        ("sgd(0.1)", "regularize l2(0.3), l1(0.02)"),
        ("adamw(0.02)", "clip norm(0.05)"),
        ("momentum(0.1)", "clip value(0.01)\n  regularize l2(0.5)"),
        ("sgd(0.1, momentum=0.9)", "clip norm(0.1)\n  regularize l2(0.4), max_norm(0.5)"),
        ("rmsprop(0.01)", "freeze dense1\n  regularize l1(0.1)"),
    ],
)
def test_what_comes_once(optimizer: str, more: str, rng: np.random.Generator) -> None:
    """Penalties, clipping and constraints see the sum."""
    assert_steps_agree(
        load(text_of(NETS["dropout of odd vectors"], "loss cross_entropy", optimizer, more), rng), (12, 5), rng
    )


@pytest.mark.parametrize("missing", [0.0, 0.6])
def test_missing_labels_and_two_heads(missing: float, rng: np.random.Generator) -> None:
    """Each head's sum is divided by its labels in the whole mini-batch, however they are spread over the slices."""
    loss = "loss kind: cross_entropy(class_weights=(1, 2, 1, 0.5), weight=2)\n  loss price: huber"
    assert_steps_agree(load(text_of(TWO_HEADS, loss), rng), (12, 6, 10, 5), rng, missing)


def test_a_slice_without_labels(rng: np.random.Generator) -> None:
    loss = "loss kind: cross_entropy(class_weights=(1, 2, 1, 0.5), weight=2)\n  loss price: huber"
    model = load(text_of(TWO_HEADS, loss), rng)
    xs, ys = data(model.network, 12, rng)
    ys["price"][4:8] = np.nan
    wanted, gradients, _ = interpreter(model).loss_and_gradients(xs, ys)
    assert_close(model.loss(xs, ys), wanted, 1e-12, "loss")
    assert_all_close(model.gradients(xs, ys), gradients, 1e-12)


@pytest.mark.parametrize("net", ["dropout of odd vectors", "dropped channels and examples", "augmented images"])
def test_float32(net: str, rng: np.random.Generator) -> None:
    assert_steps_agree(load(text_of(NETS[net], optimizer="sgd(0.1)"), rng, "float32"), (12, 6), rng)


def test_fit_with_a_last_mini_batch_that_is_smaller(rng: np.random.Generator) -> None:
    """31 examples: two mini-batches of three slices, and one of four and three. The mean loss is that of all."""
    model = load(text_of(NETS["dropout of odd vectors"], more="shuffle off\n  regularize l2(0.2)"), rng)
    xs, ys = data(model.network, 31, rng)
    reference, losses, penalties = interpreter(model), [], []
    for start in (0, 12, 24):
        part = slice(start, start + 12)
        batch = {"x": xs["x"][part]}, {"output": ys["output"][part]}
        squares = sum((reference.parameters[p.name] ** 2).sum() for p in model.network.parameters if p.decays)
        count = len(batch[0]["x"])
        penalties.append(0.1 * squares)
        losses.append(count * reference.train_step(*batch, 0.01) - penalties[-1])
    record = model.fit(xs, ys, epochs=1).records[0]
    assert_all_close(model.copy_weights(), reference.parameters, 1e-12)
    assert record["loss"] == pytest.approx(sum(losses) / 31, rel=1e-12)
    assert record["penalty"] == pytest.approx(sum(penalties) / 31, rel=1e-12)
    assert model.step == 3


def test_batch_norm_as_pytorch_accumulates(rng: np.random.Generator) -> None:
    """In float64: each slice by its own statistics, running averages after each, gradients summed over the slices."""
    torch = pytest.importorskip("torch")
    net = "net F {\n  input x: 4\n  dense(6, bias=off) -> batchnorm(momentum=0.8) -> tanh -> dense(2)\n}\n"
    model = load(text_of(net, "loss mse", "sgd(0.2, momentum=0.5)"), rng)
    modules = torch.nn.Sequential(
        torch.nn.Linear(4, 6, bias=False), torch.nn.BatchNorm1d(6, momentum=0.2), torch.nn.Tanh(), torch.nn.Linear(6, 2)
    ).double()
    dense1, norm, _, dense2 = modules
    pairs = {
        "dense1.weight": dense1.weight, "batchnorm1.gamma": norm.weight, "batchnorm1.beta": norm.bias,
        "batchnorm1.mean": norm.running_mean, "dense2.weight": dense2.weight, "dense2.bias": dense2.bias,
    }  # fmt: skip
    with torch.no_grad():
        for name, tensor in pairs.items():
            tensor.copy_(torch.from_numpy(model.parameters[name].numpy()))
    optimizer = torch.optim.SGD(modules.parameters(), lr=0.2, momentum=0.5)
    for n in (12, 12, 10):
        x, y = rng.standard_normal((n, 4)), rng.standard_normal((n, 2))
        optimizer.zero_grad()
        for start in range(0, n, 4):
            given, target = torch.from_numpy(x[start : start + 4]), torch.from_numpy(y[start : start + 4])
            (((modules(given) - target) ** 2).sum() / y.size).backward()
        optimizer.step()
        model.train_step(x, y)
        for name, tensor in pairs.items():
            assert_close(model.parameters[name].numpy(), tensor.detach().numpy(), 1e-12, name)


def test_the_same_bits_at_any_number_of_threads(rng: np.random.Generator) -> None:
    text = text_of(NETS["augmented images"], more="regularize l2(0.1)")
    weights = []
    for threads in (1, 2, 3):
        model = dslc.loads(text, threads=threads)
        xs, ys = data(model.network, 40, np.random.default_rng(1))
        model.fit(xs, ys, epochs=2)
        weights.append(model.copy_weights())
    for other in weights[1:]:
        for name, array in weights[0].items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("at", [1, 6, 11])
def test_a_slice_that_is_not_finite(at: int, rng: np.random.Generator) -> None:
    """Nothing is updated, and the caller is told."""
    model = load(text_of("net G {\n  input x: 4\n  dense(2)\n}\n", "loss mse"), rng)
    xs, ys = data(model.network, 12, rng)
    before = model.copy_weights()
    xs["x"][at] = 1e300
    assert not np.isfinite(model.train_step(xs, ys)) and model.step == 0
    with pytest.raises(DataError, match="it has no gradients"):
        model.gradients(xs, ys)
    assert_all_close(model.copy_weights(), before, 0)


def test_the_memory_is_that_of_a_slice() -> None:
    """Activations and inputs are those of a slice; targets are gathered as a whole, and gradients are kept."""
    net = NETS["narrow filters"]
    plans = {
        batch: plan_network(check_text(text_of(net).replace("batch 12 in 3", f"batch {batch}")), threads=1)
        for batch in ("256 in 8", "32", "256")
    }
    sliced, small, large = plans.values()
    labels_and_weights = 2 * 4
    weights = sliced.bytes("parameters")
    extra = sliced.bytes("activations") - small.bytes("activations")
    assert 224 * labels_and_weights <= extra <= 224 * labels_and_weights + weights + 4096
    assert sliced.bytes("gradients") <= weights + 4096
    assert sliced.arena_bytes(True) < 0.5 * large.arena_bytes(True)


def test_too_many_examples_for_a_step(rng: np.random.Generator) -> None:
    model = load(text_of(NETS["dropout of odd vectors"]), rng)
    xs, ys = data(model.network, 13, rng)
    with pytest.raises(DataError, match="13 examples; the network was compiled for at most 12"):
        model.train_step(xs, ys)
    assert model.predict(xs).shape == (13, 3)


def test_verify_takes_slices(rng: np.random.Generator) -> None:
    """What `dslc verify` does, on a network in which slices matter."""
    found = verify(load(text_of(NETS["batch norm"]), rng), 11)
    assert [c.what for c in found if not c.ok] == [] and len(found) > 10


def test_the_verifier_sees_what_slices_destroy() -> None:
    """A plan in which a slice overwrites what all slices need is refused; so is one whose average moves too early."""
    text = text_of(NETS["dropout of odd vectors"], more="average ema(0.9)")
    plan = plan_network(check_text(text), threads=1)
    verify_plan(plan)
    train = plan.steps[-1]
    count, victim = train.workspace["output_count_of_all"], train.workspace["dense1_weight_slice_grad"]
    spoiled = {**train.workspace, count.tensor.name: replace(count, offset=victim.offset)}
    with pytest.raises(PlanError, match="output_count_of_all, which was overwritten"):
        verify_plan(replace(plan, steps=(*plan.steps[:-1], replace(train, workspace=spoiled))))
    update = train.phases[-1]
    early = sorted(update.kernels, key=lambda k: k.operation.kind != "average")
    early[-1], early[0] = replace(early[-1], barrier=True), replace(early[0], barrier=True)
    phases = (*train.phases[:-1], replace(update, kernels=tuple(early)))
    with pytest.raises(PlanError, match="not updated yet"):
        verify_plan(replace(plan, steps=(*plan.steps[:-1], replace(train, phases=phases))))


def test_sample_weights_count_over_all_slices() -> None:
    """As repeated examples at once, also where a whole slice weighs nothing or labels are missing."""
    text = (
        "net A {{\n  input x: 3\n  dense(4) -> tanh\n  dense(2)\n}}\ntrain {{\n  loss mse\n  optimizer momentum(0.1)\n"
        "  regularize l2(0.3)\n  batch {}\n}}\n"
    )
    random = np.random.default_rng(4)
    x, y = random.normal(size=(8, 3)), random.normal(size=(8, 2))
    y[5, 0] = np.nan
    for weights in ([2, 1, 3, 0, 1, 2, 0, 1], [0, 0, 1, 2, 3, 1, 1, 1]):
        sliced, whole = (dslc.loads(text.format(batch), dtype="float64") for batch in ("8 in 4", "10"))
        repeated = np.repeat(np.arange(8), weights)
        for _ in range(3):
            loss = sliced.train_step(x, y, sample_weight=weights)
            assert loss == pytest.approx(whole.train_step(x[repeated], y[repeated]), rel=1e-12)
        for name, value in whole.copy_weights().items():
            np.testing.assert_allclose(sliced.parameters[name].numpy(), value, rtol=1e-12, atol=1e-14)
