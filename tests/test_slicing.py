"""Large mini-batches are divided by the planner: into slices of what size, and with the results of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_slices import assert_steps_agree

from dslc.cli.check import check
from dslc.compiler import check_file, check_text, plan_network
from dslc.planning import slicing
from dslc.planning.slicing import Division, division
from dslc.planning.verifier import verify_plan
from dslc.runtime.model import Model
from helpers import REPO, assert_all_close, assert_close, data, interpreter, load, spoil_memory

EVERYTHING = """net Everything {
  input image: 6x5x3
  maps = image -> flip(horizontal) -> shift(1) -> noise(0.2) -> conv(9, 3x3, pad=same) -> relu -> maxpool(2x2)
  h = maps -> flatten -> dense(7) -> tanh -> dropout(0.3)
  output kind = h -> dense(4) -> softmax
  output price = h -> dense(2)
}
train {
  loss kind: cross_entropy(class_weights=(1, 2, 1, 0.5), weight=2)
  loss price: huber
  optimizer adamw(0.01)
  regularize l2(0.3), max_norm(0.8)
  clip norm(0.1)
  batch 13
  seed 5
}
"""
NORMALIZED = """net Normalized {
  input image: 32x32x3
  conv(8, 3x3, bias=off) -> batchnorm -> relu -> flatten -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(0.1)
  batch BATCH
}
"""


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mini-batch of 8 and more is a large one."""
    for name, value in {"SLICE_NUMBERS": 0, "MULTIPLY_ADDS": 0, "FEWEST": 4, "MULTIPLE": 1}.items():
        monkeypatch.setattr(slicing, name, value)


@pytest.fixture
def everything(small_slices: None, rng: np.random.Generator) -> Model:
    """In slices of 5, 5 and 3."""
    model = load(EVERYTHING, rng, threads=2)
    assert (model.batch, model.plan.batch) == (13, 5)
    return model


def test_as_the_whole(everything: Model, rng: np.random.Generator) -> None:
    """Loss, gradients and steps, with missing labels: NumPy takes the mini-batch at once."""
    assert_steps_agree(everything, (13, 12, 6, 5, 1), rng, missing=0.3)


def test_examples_that_weigh_nothing_keep_their_place(everything: Model, rng: np.random.Generator) -> None:
    """What is dropped and drawn goes by the place in the mini-batch, also behind a slice that is left out."""
    xs, ys = data(everything.network, 13, rng)
    for nothing in (slice(0, 5), slice(5, 10), slice(8, 13)):
        weights = rng.uniform(0.5, 2, 13)
        weights[nothing] = 0
        loss, gradients, _ = interpreter(everything).loss_and_gradients(xs, ys, weights)
        spoil_memory(everything)
        assert_close(everything.loss(xs, ys, sample_weight=weights), loss, 1e-12, "loss")
        assert_all_close(everything.gradients(xs, ys, sample_weight=weights), gradients, 1e-12)


@pytest.mark.filterwarnings("ignore:input image")
def test_an_epoch_has_the_same_bits_at_any_number_of_threads(small_slices: None) -> None:
    """29 examples, once of bytes: two mini-batches of three slices and one of three examples; the mean loss is that of
    NumPy."""
    found = []
    for threads in (1, 3):
        model = load(
            EVERYTHING.replace("batch 13", "batch 13\n  shuffle off"), np.random.default_rng(2), threads=threads
        )
        _, ys = data(model.network, 29, np.random.default_rng(1))
        stored = np.random.default_rng(3).integers(0, 256, (29, 6, 5, 3)).astype(np.uint8)
        xs = {"image": stored / 255}
        reference, losses = interpreter(model), 0.0
        record = model.fit(xs if threads == 1 else {"image": stored}, ys, epochs=1).records[0]
        found.append(b"".join(array.tobytes() for array in model.copy_weights().values()))
    for start in (0, 13, 26):
        part = slice(start, start + 13)
        batch = [{name: array[part] for name, array in arrays.items()} for arrays in (xs, ys)]
        losses += len(batch[0]["image"]) * reference.train_step(*batch, 0.01)
    assert found[0] == found[1]
    assert record["loss"] + record["penalty"] == pytest.approx(losses / 29, rel=1e-12)


def test_what_is_divided() -> None:
    """Where a slice fits the caches, unless the file or a layer says otherwise, and alike on every machine."""
    lenet, mlp = (check_file(REPO / "specs" / f"{name}.net") for name in ("lenet5", "mlp"))
    assert [division(lenet, batch).slice for batch in (64, 255, 256, 1000, 4096)] == [64, 255, 128, 144, 128]
    assert [division(mlp, batch).slice for batch in (64, 256, 4096)] == [64, 256, 352]
    part = division(lenet, 1000, over_ranks=True)  # all slices of a rank have room, for others may have smaller parts
    assert (part.slice, part.examples) == (144, 1008)
    training = lenet.training
    assert training is not None
    whole, halves = (replace(lenet, training=replace(training, batch=4096, slices=k)) for k in (1, 2))
    assert (division(whole), division(halves)) == (Division(4096, 4096, 128), Division(4096, 2048, 128))
    wide = "net Wide {\n  input x: 20000\n  dense(50)\n}\ntrain {\n  loss mse\n  optimizer sgd(0.1)\n  batch 2048\n}\n"
    assert not division(check_text(wide)).sliced, "a gradient of a million weights, and activations that are few"


def test_a_layer_that_mixes_examples() -> None:
    """It sees the whole mini-batch; frozen it mixes nothing."""
    network = check_text(NORMALIZED.replace("BATCH", "512"))
    assert division(network) == Division(512, 512, 128, "batchnorm1")
    assert division(network, 64) == Division(64, 64, 64)
    frozen = check_text(NORMALIZED.replace("BATCH", "512\n  freeze batchnorm1"))
    assert division(frozen) == Division(512, 128, 128)


def test_a_whole_mini_batch_is_predicted_by_parts(small_slices: None, rng: np.random.Generator) -> None:
    """Training sees 13 examples together, prediction and `evaluate` 5."""
    text = NORMALIZED.replace("32x32x3", "4x4x2").replace("BATCH", "13")
    model = load(text, rng)
    assert (model.batch, model.plan.batch, model.plan.steps[0].batch) == (13, 13, 5)
    assert_steps_agree(model, (13, 7), rng)
    xs, ys = data(model.network, 29, rng)
    wanted = interpreter(model).predict(xs)["output"]
    spoil_memory(model)
    assert_close(model.predict(xs), wanted, 1e-12, "predictions")
    losses = -np.log(wanted[np.arange(29), ys["output"]])
    assert model.evaluate(xs, ys)["loss"] == pytest.approx(losses.mean(), rel=1e-12)


def test_a_network_without_training() -> None:
    """It predicts as many examples at a time."""
    text = (REPO / "specs" / "lenet5.net").read_text().partition("train {")[0].replace("param lr", "# param lr")
    plan = plan_network(check_text(text), batch=4096)
    verify_plan(plan)
    assert plan.steps[0].batch == 128


def test_check_tells(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The slices, and why there are none."""
    path = tmp_path / "normalized.net"
    path.write_text(NORMALIZED.replace("BATCH", "512"))
    assert check(str(REPO / "specs" / "lenet5.net"), str(path), threads=1, define=["batch=1000"]) == 0
    said = capsys.readouterr().out
    assert "at a batch of 1000 in 7 slices of 144" in said
    assert "batchnorm1 sees a whole mini-batch: it is not divided" in said


def test_memory_does_not_grow_with_the_mini_batch() -> None:
    """But for its targets and sample weights, which are gathered as a whole, and gradients, which are kept."""
    lenet = check_file(REPO / "specs" / "lenet5.net")
    small, large = (plan_network(lenet, batch=batch) for batch in (128, 4096))
    whole = replace(lenet, training=replace(lenet.training, slices=1))
    gathered = (4096 - 128) * 2 * 4
    assert large.bytes("activations") - small.bytes("activations") <= gathered + small.bytes("parameters") + 4096
    assert large.arena_bytes(True) < 0.04 * plan_network(whole, batch=4096).arena_bytes(True)
