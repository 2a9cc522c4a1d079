"""Exported C that learns: steps, evaluation, weights and parameters as in Python, bit by bit, and as NumPy has them."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dslc.codegen.build import EXTRA_FLAGS, Compiler
from dslc.compiler import check_text
from dslc.export.network import Trained, Wishes
from dslc.ir import Network
from dslc.proofs.reference import Interpreter
from dslc.runtime.model import Model
from dslc.target import Target, native
from exporting import STRICT, Export, random_parameters, run_compiler, write
from helpers import FORWARD, assert_all_close, assert_close
from test_export import GENERIC, MACHINES, OTHERS, PORTABLE, symbols_of
from test_export_errors import aligned, aligned_copy

LEARNER = """net Learner {
  input image: 8x8x1
  conv(8, 3x3, pad=same, bias=off) -> batchnorm -> relu -> maxpool(2x2)
  conv(12, 3x3, pad=same) -> tanh -> dropout(0.25)
  flatten
  dense(5) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  regularize l2(0.001)
  clip norm(1)
  batch 6
}
"""
FROZEN = """net Frozen {
  input x: 9
  dense(7, freeze=on) -> relu
  h = dense(6)
  output a = h -> dense(3) -> softmax
  output b = h -> dense(2) -> linear
}
train {
  loss a: cross_entropy
  loss b: mse
  optimizer sgd(0.1, momentum=0.9)
  batch 6
}
"""
BATCH = 6


@dataclass
class Learner:
    """An exported network in this process, initialized with its weights, and the model in Python."""

    exported: Export
    library: ctypes.CDLL
    model: Model

    def __post_init__(self) -> None:
        self.net = np.zeros(256, np.uint8)
        self.size = self.call("memory_size", BATCH, 1)
        self.memory = aligned(self.size, 0xFF)
        self.weights = aligned_copy(self.exported.weights.read_bytes())

    def call(self, function: str, *arguments: object) -> int:
        found = getattr(self.library, f"{self.exported.prefix}_{function}")
        found.restype = ctypes.c_size_t if function.endswith("_size") else ctypes.c_int
        return int(found(*map(given, arguments)))

    def start(self, training: int = 1) -> None:
        size = ctypes.c_size_t(self.size)
        assert self.call("init", self.net, self.memory, size, BATCH, training, ctypes.c_uint64(self.model.seed)) == 0
        assert self.call("load_weights", self.net, self.weights, ctypes.c_size_t(len(self.weights))) == 0

    def parameter(self, name: str) -> np.ndarray:
        (shape,) = (p.shape for p in self.model.network.parameters if p.name == name)
        values = np.zeros(shape, np.float32)
        assert self.call("get_parameter", self.net, name.encode(), values, ctypes.c_size_t(values.size)) == 0
        return values

    def parameters(self) -> dict[str, np.ndarray]:
        return {p.name: self.parameter(p.name) for p in self.model.network.parameters}


def given(argument: object) -> object:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    return ctypes.c_int(argument) if isinstance(argument, int) else argument


def learner(text: str, target: Target, folder: Path) -> Learner:
    """With random parameters, compiled with the flags that Python's module has."""
    network = check_text(text)
    rng = np.random.default_rng(5)
    exported = write(Trained(network, random_parameters(network, rng)), Wishes(target, BATCH, training=True), folder)
    extra = shlex.split(os.environ.get(EXTRA_FLAGS, ""))
    library = ctypes.CDLL(str(exported.compile(folder / "net.so", "-shared", "-fPIC", *extra)))
    model = Model(network, 1, target=target)
    model.restore_weights(exported.trained.parameters)
    return Learner(exported, library, model)


@pytest.fixture(scope="module", params=[PORTABLE, native()], ids=lambda target: target.name)
def digits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return learner(LEARNER, request.param, tmp_path_factory.mktemp("learner"))


@pytest.fixture
def net(digits: Learner) -> Learner:
    """As exported, in Python too."""
    digits.start()
    digits.model.restore_weights(digits.exported.trained.parameters)
    return digits


def batches(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ten mini-batches, some of them smaller."""
    return [
        (rng.standard_normal((n, 8, 8, 1)).astype(np.float32), rng.integers(0, 5, n).astype(np.int32))
        for n in (6, 6, 4, 6, 1, 6, 6, 5, 6, 6)
    ]


def test_ten_steps(digits: Learner, rng: np.random.Generator) -> None:
    """Losses, parameters and predictions have the bits of Python's, and agree with NumPy in float64."""
    digits.start()
    model = digits.model
    start = digits.exported.trained.parameters
    model.restore_weights(start)
    step = model.step
    assert step == 0, "the first test that trains"
    reference = Interpreter(model.network, {n: a.astype(np.float64) for n, a in start.items()}, model.seed)
    loss = np.zeros(1, np.float32)
    for x, y in batches(rng):
        assert digits.call("train_step", digits.net, x, y, len(x), loss) == 0
        assert loss[0] == np.float32(model.train_step(x, y))
        xs, ys = {"image": x.astype(np.float64)}, {"output": y}
        assert_close(loss, np.array([reference.train_step(xs, ys, 0.01)]), 1e-3, "loss")
    mine, python = digits.parameters(), model.copy_weights()
    for name, array in python.items():
        np.testing.assert_array_equal(mine[name], array, name)
    assert any((mine[name] != start[name]).any() for name in start)
    x, y = batches(rng)[0]
    out = np.zeros((6, 5), np.float32)
    assert digits.call("predict", digits.net, x, 6, out) == 0
    np.testing.assert_array_equal(out, model.predict(x))
    assert digits.call("evaluate", digits.net, x, y, 6, loss, out) == 0
    assert loss[0] == np.float32(model.evaluate(x, y)["loss"])


def test_predicts_as_numpy(net: Learner, rng: np.random.Generator) -> None:
    """Before and after a parameter has changed: what prediction prepares is prepared again."""
    x = batches(rng)[0][0]
    out = np.zeros((6, 5), np.float32)
    parameters = dict(net.exported.trained.parameters)
    for change in (0, 1):
        gamma = np.full(8, 1 + change, np.float32)
        assert net.call("set_parameter", net.net, b"batchnorm1.gamma", gamma, ctypes.c_size_t(8)) == 0
        parameters["batchnorm1.gamma"] = gamma
        interpreter = Interpreter(net.model.network, {n: a.astype(np.float64) for n, a in parameters.items()})
        assert net.call("predict", net.net, x, 6, out) == 0
        assert_close(out, interpreter.predict({"image": x.astype(np.float64)})["output"], FORWARD["float32"], "out")


def test_parameters_by_name(net: Learner, rng: np.random.Generator) -> None:
    """In the shapes of the language, whatever lies in which block; others stay as they are."""
    wanted = dict(net.exported.trained.parameters)
    assert_all_close(net.parameters(), wanted, 0)
    for name, array in net.exported.trained.parameters.items():
        wanted[name] = other = rng.random(array.shape).astype(np.float32)
        assert net.call("set_parameter", net.net, name.encode(), other, ctypes.c_size_t(other.size)) == 0
        assert_all_close(net.parameters(), wanted, 0)


def test_saved_weights_are_those_of_the_file(net: Learner) -> None:
    """Save, change, load: all is as before, byte by byte."""
    saved = aligned(net.call("weights_size"), 0)
    assert net.call("save_weights", net.net, saved, ctypes.c_size_t(len(saved))) == 0
    assert saved.tobytes() == net.exported.weights.read_bytes()
    before = net.parameters()
    assert net.call("set_parameter", net.net, b"dense1.bias", np.zeros(5, np.float32), ctypes.c_size_t(5)) == 0
    assert net.call("load_weights", net.net, saved, ctypes.c_size_t(len(saved))) == 0
    assert_all_close(net.parameters(), before, 0)


def test_bad_input(net: Learner, rng: np.random.Generator) -> None:
    """A code is returned, and nothing is written."""
    header = (net.exported.folder / "learner.h").read_text()
    code = {name: int(number) for name, number in re.findall(r"LEARNER_(\w+) = (\d+)", header)}
    x, y = batches(rng)[0]
    loss, values, n = np.zeros(1, np.float32), np.zeros(5, np.float32), net.net
    bad, infinite, size = np.array([0, 1, 2, 5, 1, 1], np.int32), np.full_like(x, np.inf), ctypes.c_size_t
    saved = np.zeros(net.call("weights_size"), np.uint8)
    cases = [
        ("NULL_POINTER", ("train_step", None, x, y, 6, loss)),
        ("NULL_POINTER", ("train_step", n, None, y, 6, loss)),
        ("NULL_POINTER", ("train_step", n, x, None, 6, loss)),
        ("NULL_POINTER", ("train_step", n, x, y, 6, None)),
        ("BAD_BATCH", ("train_step", n, x, y, 0, loss)),
        ("BAD_BATCH", ("train_step", n, x, y, 7, loss)),
        ("BAD_LABEL", ("train_step", n, x, bad, 6, loss)),
        ("BAD_LABEL", ("train_step", n, x, -y - 1, 6, loss)),
        ("BAD_LABEL", ("evaluate", n, x, bad, 6, loss, np.zeros((6, 5), np.float32))),
        ("BAD_BATCH", ("evaluate", n, x, y, 0, loss, np.zeros((6, 5), np.float32))),
        ("NO_PARAMETER", ("get_parameter", n, b"dense1.weights", values, size(5))),
        ("NO_PARAMETER", ("set_parameter", n, b"", values, size(5))),
        ("PARAMETER_SIZE", ("get_parameter", n, b"dense1.bias", values, size(4))),
        ("PARAMETER_SIZE", ("set_parameter", n, b"dense1.bias", values, size(6))),
        ("NULL_POINTER", ("set_parameter", n, None, values, size(5))),
        ("TOO_SMALL", ("save_weights", n, saved, size(len(saved) - 1))),
        ("NULL_POINTER", ("save_weights", n, None, size(len(saved)))),
        ("WEIGHTS_SIZE", ("load_weights", n, net.weights, size(len(net.weights) - 1))),
    ]
    for error, call in cases:
        before = (n.tobytes(), net.memory.tobytes(), loss.tobytes(), saved.tobytes())
        assert net.call(*call) == code[error], call
        assert (n.tobytes(), net.memory.tobytes(), loss.tobytes(), saved.tobytes()) == before, call
    parameters = net.parameters()
    assert net.call("train_step", n, infinite, y, 6, loss) == code["NOT_FINITE"]
    assert loss[0] == 0
    assert_all_close(net.parameters(), parameters, 0)
    size_for_prediction = net.call("memory_size", BATCH, 0)
    assert size_for_prediction < net.size
    net.start(training=0)
    assert net.call("train_step", n, x, y, 6, loss) == code["NO_TRAINING"]
    assert net.call("memory_size", BATCH + 1, 1) == net.call("memory_size", 0, 1) == 0


def test_two_heads_and_a_frozen_layer(tmp_path: Path, rng: np.random.Generator) -> None:
    """Only what learns has gradients and states; the bits are Python's."""
    net = learner(FROZEN, GENERIC, tmp_path)
    net.start()
    x = rng.standard_normal((6, 9)).astype(np.float32)
    a, b = rng.integers(0, 3, 6).astype(np.int32), rng.random((6, 2)).astype(np.float32)
    loss = np.zeros(1, np.float32)
    for _ in range(3):
        assert net.call("train_step", net.net, x, a, b, 6, loss) == 0
        assert loss[0] == np.float32(net.model.train_step(x, {"a": a, "b": b}))
    for name, array in net.model.copy_weights().items():
        np.testing.assert_array_equal(net.parameter(name), array, name)
    np.testing.assert_array_equal(net.parameter("dense1.weight"), net.exported.trained.parameters["dense1.weight"])


@pytest.mark.parametrize("target", MACHINES, ids=lambda target: target.name)
def test_is_clean_c_and_c_plus_plus(target: Target, tmp_path: Path) -> None:
    network: Network = check_text(LEARNER)
    trained = Trained(network, random_parameters(network, np.random.default_rng(0)))
    exported = write(trained, Wishes(target, BATCH, embed=True, training=True), tmp_path)
    for compiler in OTHERS:
        run_compiler(*compiler, *Compiler(compiler, "").spelled(target), *STRICT, str(exported.source))
    symbols = symbols_of(exported.compile(tmp_path / "object.o", "-c", "-O1"))
    assert all(name.startswith("learner_") for kind, name in symbols if kind in "TRDB")
    assert not [name for kind, name in symbols if kind in "dDbBcC"], "a variable that can change"
    wanted = {name for kind, name in symbols if kind == "U"}
    known = {"memcpy", "memset", "memcmp", "strcmp", "sqrtf", "sqrt", "pow", "_GLOBAL_OFFSET_TABLE_"}
    assert wanted <= known, wanted - known


def test_soft_labels_are_numbers(tmp_path: Path) -> None:
    """Of each example as many as there are classes: no class numbers."""
    network = check_text(LEARNER.replace("loss cross_entropy", "loss cross_entropy(soft_labels=on)"))
    trained = Trained(network, random_parameters(network, np.random.default_rng(0)))
    exported = write(trained, Wishes(PORTABLE, BATCH, training=True), tmp_path)
    assert "const float *x, const float *y, int n" in (tmp_path / "learner.h").read_text()
    run_compiler("gcc", "-std=c99", "-fsyntax-only", *STRICT, str(exported.source))
