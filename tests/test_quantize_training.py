"""`quantize int8` in `train`: rounding against the integers that it stands for, against PyTorch and against NumPy, and
what is learned with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run as dslc_run
from dslc.compiler import check_text, plan_network
from dslc.derived import rounded_values, unrounded
from dslc.export.network import Trained, Wishes
from dslc.ir import Network
from dslc.layers import Mode, _fake_quantize
from dslc.layers._fake_quantize import FakeQuantize, fake_quantized, fake_quantized_weight, is_within, steps_of
from dslc.planning.verifier import verify_plan
from dslc.proofs.reference import Interpreter
from dslc.proofs.verify import verify
from dslc.quantization.arithmetic import encoding_of, quantize_weights
from dslc.quantization.quantize import quantize
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.target import TARGETS
from exporting import write
from helpers import REPO

RANGES = ((-1.0, 3.0), (0.0, 6.0), (0.5, 2.0), (-4.0, -1.0))
SETTINGS = "train {\n  loss cross_entropy\n  optimizer sgd(0.05)\n  batch 8 in 2\n  quantize int8\n  memory low\n}\n"
EVERYTHING = """net Everything {
  input image: 6x6x3
  standardize
  a = conv(17, 3x3, pad=same, bias=off) -> batchnorm -> relu
  a -> depthwise(3x3, pad=1) -> batchnorm -> relu6
  b = conv(17, 1x1) -> add(a) -> relu
  conv(6, 3x3, pad=same, groups=1) -> concat(b) -> maxpool(2x2) -> tanh
  global_avgpool -> dense(9) -> scale -> relu -> dropout(0.2)
  output kind = dense(5) -> softmax
}
"""
SMALL = """net Small {
  input x: 5
  dense(7) -> batchnorm -> relu -> dense(3)
}
train {
  loss      mse
  optimizer adam(0.01)
  batch     6
  epochs    4
  precision float64
  quantize  int8
}
"""


@pytest.mark.parametrize("ends", RANGES)
def test_levels_are_those_of_the_integers(ends: tuple[float, float]) -> None:
    x = np.random.default_rng(1).normal(size=500) * 3
    encoding = encoding_of(*ends, 255)
    assert steps_of(np.array(ends)) == pytest.approx((encoding.scale, encoding.zero), rel=1e-7)
    rounded, q = fake_quantized(x, np.array(ends)), encoding.encode(x)
    assert np.abs(rounded - encoding.decode(q)).max() < 1e-6 and len(np.unique(q)) > 50
    at_ends = (q == 0) | (q == 255)
    assert is_within(x, np.array(ends))[~at_ends].all() and not is_within(np.array([-9.0, 9.0]), np.array(ends)).any()


@pytest.mark.parametrize(("shape", "units"), [((7, 5), 0), ((3, 3, 2, 6), 3)])
def test_weights_are_those_of_the_integers(shape: tuple[int, ...], units: int) -> None:
    """Also where a batch norm is folded in, before or after: its factors have both signs."""
    rng = np.random.default_rng(2)
    weight = rng.normal(size=shape)
    weight[(slice(None),) * units + (0,)] = 0
    factor = rng.normal(size=shape[units])
    last = np.moveaxis(weight, units, -1)
    q, scales = quantize_weights(last * factor, np.zeros(shape[units]))
    rounded = np.moveaxis(fake_quantized_weight(weight, units), units, -1)
    assert np.allclose(rounded * factor, q * scales, atol=1e-12)


@pytest.mark.torch
def test_rounds_as_pytorch() -> None:
    """Values and gradients."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(3).normal(size=(40, 6)) * 3
    for low, top in RANGES:
        encoding = encoding_of(low, top, 255)
        theirs = torch.tensor(x, requires_grad=True)
        y = torch.fake_quantize_per_tensor_affine(theirs, encoding.scale, encoding.zero, 0, 255)
        y.backward(torch.ones_like(y))
        ends = (np.array([0, 255]) - encoding.zero) * encoding.scale
        assert np.allclose(y.detach().numpy(), fake_quantized(x, ends), atol=1e-6)
        assert np.array_equal(theirs.grad.numpy(), is_within(x, ends))
    weight = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    scales = weight.detach().abs().max(axis=0).values / 127
    zeros = torch.zeros(6, dtype=torch.int32)
    rounded = torch.fake_quantize_per_channel_affine(weight, scales, zeros, 1, -127, 127)
    rounded.backward(torch.ones_like(rounded))
    assert np.allclose(rounded.detach().numpy(), fake_quantized_weight(x, 1), atol=1e-5)
    assert weight.grad.numpy().all()


def test_range_moves_and_starts_with_the_first_batch() -> None:
    layer, x = FakeQuantize(), np.array([[-1.0, 2.0]])
    first = layer.reference((x,), {"range": np.zeros(2)}, Mode(True)).updates["range"]
    assert np.array_equal(first, [-1, 2])
    assert np.allclose(layer.reference((x * 2,), {"range": first}, Mode(True)).updates["range"], [-1.1, 2.2])
    assert np.array_equal(layer.reference((x,), {"range": np.zeros(2)}, Mode(False)).y, x), "nothing was seen yet"


def test_gradients_are_straight_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slopes of the network whose numbers are off by what rounding has made of them, and limited to the ranges."""
    network = check_text(SMALL)
    rng = np.random.default_rng(4)
    parameters = {p.name: p.init.sample(rng, p.shape, p.fan_in, p.fan_out) for p in network.parameters}
    parameters["relu1_int8.range"] = np.array([0.0, 1.0])  # narrow, so that some numbers are cut off
    x, y = random_batch(network, 6, 0)
    batch = {n: a.astype(np.float64) for n, a in x.items()}, {n: a.astype(np.float64) for n, a in y.items()}
    _, gradients, _ = Interpreter(network, parameters).loss_and_gradients(*batch)

    values, _ = Interpreter(network, parameters).run(batch[0], training=True)
    errors: list[np.ndarray] = []
    ends_of: list[np.ndarray] = []

    def limited(x: np.ndarray, ends: np.ndarray) -> np.ndarray:
        step, zero = steps_of(ends)
        return np.clip(x, -(zero + 0.5) * step, (255.5 - zero) * step)

    def rounds(x: np.ndarray, ends: np.ndarray) -> np.ndarray:
        ends_of.append(ends)
        errors.append(fake_quantized(x, ends) - limited(x, ends))
        return limited(x, ends) + errors[-1]

    def rounds_weight(weight: np.ndarray, units: int) -> np.ndarray:
        errors.append(fake_quantized_weight(weight, units) - weight)
        return weight + errors[-1]

    def loss(values: dict[str, np.ndarray]) -> float:
        return Interpreter(network, values).loss_and_gradients(*batch)[0]

    def held(values: dict[str, np.ndarray]) -> float:
        """The loss with the rounding errors and the ranges of the first run."""
        known, ranges = iter(errors), iter(ends_of)
        monkeypatch.setattr(_fake_quantize, "fake_quantized", lambda x, _: limited(x, next(ranges)) + next(known))
        monkeypatch.setattr(f"{reference}.fake_quantized_weight", lambda weight, _: weight + next(known))
        return loss(values)

    reference = Interpreter.__module__
    monkeypatch.setattr(_fake_quantize, "fake_quantized", rounds)
    monkeypatch.setattr(f"{reference}.fake_quantized_weight", rounds_weight)
    loss(parameters)
    for name, gradient in gradients.items():
        for index in np.ndindex(*gradient.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = {n: a.copy() for n, a in parameters.items()}
                moved[name][index] += step
                sides.append(held(moved))
            slope = (sides[0] - sides[1]) / 2e-6
            assert slope == pytest.approx(gradient[index], rel=1e-4, abs=1e-7), (name, index)
    assert (values["relu1"] > ends_of[1][1] * 1.01).any(), "none is cut off"


def test_c_is_numpy() -> None:
    """Outputs, gradients, ten steps and ranges; in slices, with threads, and with activations that are computed
    again."""
    network = replace(check_text(EVERYTHING + SETTINGS), precision="float64")
    model = Model(network, 3)
    assert all(row.ok for row in verify(model, 8))
    assert sum(name.endswith(".range") for name in model.parameters) == 11
    assert all(np.abs(model.parameters[name].numpy()).max() > 0 for name in rounded_values(network))


def test_planned_for_every_target() -> None:
    for target in ("generic", "x86-64-v3", "x86-64-v4", "aarch64"):
        verify_plan(plan_network(check_text(EVERYTHING + SETTINGS), target=TARGETS[target], threads=2))


def test_rounds_where_integers_do() -> None:
    """Behind each operation of the integers but maxima, at inputs, and every weight of a product."""
    network = check_text(EVERYTHING + SETTINGS)
    behind = {value.name for value in rounded_values(network).values()}
    program = quantize(Trained(network, _random(network)), {"image": np.ones((4, 6, 6, 3), np.float32)})
    assert {t.name for t in program.tensors} - behind == {"maxpool1"} and not behind - {t.name for t in program.tensors}
    assert {n.name for n in network.nodes if n.rounds_weight} == {
        op.name for op in program.operations if type(op).__name__ == "Product"
    } - {"scale1"}
    assert not rounded_values(unrounded(network))


def test_numbers_of_steps_stay_whole() -> None:
    """A head of training alone may read them beside what is rounded."""
    spec = """net Steps {
  input x: 4x3
  input n: 1
  output h1 = x -> conv1d(5, 3) -> global_avgpool
  output h2 = x -> global_avgpool(lengths=n) -> dense(2) train_only
}
train {
  loss h1: mse
  loss h2: mse
  optimizer sgd(0.1)
  quantize int8
}
"""
    assert [node.name for node in check_text(spec).nodes if node.inputs[0].name in ("x", "n")] == ["x_int8"]


def _random(network: Network) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        p.name: np.abs(p.init.sample(rng, p.shape, p.fan_in, p.fan_out)) if p.trained else np.ones(p.shape)
        for p in network.parameters
    }


@pytest.fixture(scope="module")
def small() -> Model:
    return dslc.loads(SMALL)


def _data(model: Model, count: int = 18) -> tuple[np.ndarray, np.ndarray]:
    x, y = random_batch(model.network, count, 7)
    return x["x"], y["output"]


def test_resumes_with_the_same_bits(small: Model, tmp_path: Path) -> None:
    x, y = _data(small)
    small.fit(x, y, epochs=4)
    parts = dslc.loads(SMALL)
    parts.fit(x, y, epochs=2)
    parts.checkpoint(tmp_path / "c")
    again = dslc.loads(SMALL)
    again.resume(tmp_path / "c")
    again.fit(x, y, epochs=2)
    assert all(np.array_equal(small.parameters[n].numpy(), again.parameters[n].numpy()) for n in small.parameters)
    assert np.ptp(small.parameters["relu1_int8.range"].numpy()) > 0


def test_goes_on_from_a_training_in_float(small: Model, tmp_path: Path) -> None:
    """Of such weights the ranges are missing, and nothing else may be."""
    floats = dslc.loads(SMALL.replace("  quantize  int8\n", ""))
    floats.save(tmp_path / "w.safetensors")
    model = dslc.loads(SMALL)
    model.load_weights(tmp_path / "w.safetensors")
    x, y = _data(model)
    assert np.array_equal(model.predict(x), floats.predict(x)) is False, "weights are rounded"
    model.fit(x, y, epochs=1)
    assert np.ptp(model.parameters["relu1_int8.range"].numpy()) > 0
    wrong = dslc.loads(SMALL.replace("dense(7)", "dense(7, bias=off)"))
    wrong.save(tmp_path / "w.safetensors")
    with pytest.raises(dslc.DataError, match=r"dense1.bias \(7,\) is not in the file"):
        model.load_weights(tmp_path / "w.safetensors")


def test_exported_c_predicts_the_same(small: Model, tmp_path: Path) -> None:
    x, _ = _data(small)
    small.fit(*_data(small), epochs=1)
    found = write(Trained(small.network, small.copy_weights()), Wishes(TARGETS["c99"], batch=18), tmp_path)
    assert np.abs(found.predict(x, "-O1") - small.predict(x)).max() < 1e-12


COLUMNS = """net Columns {
  input x: 30
  batchnorm -> dense(24) -> relu -> dense(24) -> relu -> dense(1) -> sigmoid
}
train {
  loss      binary_cross_entropy
  optimizer adam(0.003)
  batch     32
  epochs    40
}
"""
"""Columns in units of their own, with the numbers of one up to 4000 and those of another below 0.1: in steps that serve
the one, the other is 0, and batch norm makes of its rounding error what it made of the column."""


def test_learns_what_rounding_leaves() -> None:
    """Where ranges that are found after the training lose a third of the answers."""
    data = load_dataset("breast_cancer")
    part = data.test or data.train

    def accuracy(model: Model) -> tuple[float, float]:
        integers = dslc.quantize(model, data.train.x)
        return model.evaluate(*part.given)["accuracy"], integers.evaluate(*part.given)["accuracy"]

    floats = dslc.loads(COLUMNS)
    floats.fit(data.train.x, data.train.y)
    before, after = accuracy(floats)
    assert before > 0.92 and after < 0.75
    rounding = dslc.loads(COLUMNS.replace("  batch  ", "  quantize  int8\n  batch  "))
    rounding.fit(data.train.x, data.train.y)
    simulated, integers = accuracy(rounding)
    assert abs(simulated - integers) < 0.02 and integers > max(0.88, after + 0.13)


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "small.net"
    spec.write_text(SMALL.replace("  precision float64\n", ""), "utf-8")
    assert dslc_run(["check", str(spec)]) == 0 and "relu1_int8" in capsys.readouterr().out
    assert dslc_run(["verify", str(spec)]) == 0 and "compared in float64" in capsys.readouterr().err
    assert dslc_run(["gradcheck", str(spec)]) == 0 and "a staircase has no slopes" in capsys.readouterr().err


MOBILE = """block separable(filters, stride) {
  depthwise(3x3, stride=stride, pad=same, bias=off) -> batchnorm -> relu6
  conv(filters, 1x1, bias=off) -> batchnorm -> relu6
}
net Mobile {
  input image: 8x8x1
  conv(8, 3x3, pad=same, bias=off) -> batchnorm -> relu6
  separable(16, 1)
  separable(24, 2)
  separable(24, 1)
  separable(32, 2)
  separable(32, 1)
  global_avgpool -> dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(0.005)
  schedule  cosine(12)
  batch     32
  epochs    12
}
"""


@pytest.mark.slow
@pytest.mark.optimized
def test_mobilenet_loses_less_than_a_point() -> None:
    """Howard et al. 2017, for the digits, from its weights in float."""
    data = load_dataset("digits")
    parts = [part for part in data.parts.values() if part is not None]
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    floats = dslc.loads(MOBILE)
    floats.fit(data.train.x, data.train.y)
    model = dslc.loads(MOBILE.replace("batch     32", "batch     32\n  quantize  int8"), lr=0.001, epochs=3)
    model.restore_weights({**model.copy_weights(), **floats.copy_weights()})
    model.fit(data.train.x, data.train.y)
    integers = dslc.quantize(model, data.train.x)
    before, after = (m.evaluate(x, y)["accuracy"] for m in (floats, integers))
    assert before > 0.95 and after > before - 0.01


FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist has it."""


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("name", ["mnist", str(FASHION)])
def test_lenet5_loses_less_than_three_in_a_thousand(name: str) -> None:
    """After a training that does not round."""
    if name != "mnist" and not FASHION.exists():
        pytest.skip("not installed: dataset-fashion-mnist")
    data = load_dataset(name)
    part = data.test or data.train
    model = dslc.load(REPO / "specs" / "lenet5.net", epochs=2)
    model.fit(data.train.x, data.train.y)
    integers = dslc.quantize(model, data.train.x)
    before, after = (m.evaluate(*part.given)["accuracy"] for m in (model, integers))
    assert before > 0.8 and after > before - 0.003
