"""The gradient check, and `verify` too, find faults that are planted in the C of backward kernels, and name the
parameters they spoil.

A fault is a text of one C function that is replaced before the network is built: a wrong sign, a missing term, a window
one off, a wrong scale. Where a kernel's text is likely to be tuned the fault goes behind its opening brace and only
names an argument: an example is forgotten, an array starts one number late, one sum is taken for another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from dslc.codegen import build
from dslc.codegen.c_source import CSource
from dslc.codegen.emit import emit
from dslc.compiler import check_text
from dslc.plan import Plan
from dslc.planning.planner import Options
from dslc.proofs.gradcheck import GradientCheck, check_gradients
from dslc.proofs.verify import verify
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.runtime.native import compiled
from dslc.target import TARGETS
from helpers import randomize_parameters

TRAIN = "train {{\n  loss {}\n  optimizer sgd(0.1)\n  regularize l2(1)\n  batch 4\n}}\n"
IMAGES = """net Images {
  input image: 6x6x2
  conv(3, 3x2, pad=same, bias=off) -> batchnorm -> tanh -> avgpool(3x3, stride=2)
  conv(4, 2x2, bias=off) -> lrn(size=3, alpha=0.5, beta=0.6, k=1)
  flatten
  dense(5) -> tanh
  dense(3) -> softmax
}
""" + TRAIN.format("cross_entropy")
VECTORS = """net Vectors {
  input x: 6
  hidden = x -> dense(5) -> layernorm -> sigmoid
  gate = x -> dense(5) -> softmax
  both = multiply(hidden, gate)
  concat(both, hidden) -> dense(2)
}
""" + TRAIN.format("mse")
PIXELS = """net Pixels {
  input image: 6x6x2
  conv(3, 2x2) -> maxpool(2x2) -> tanh
  flatten
  dense(4, bias=off) -> batchnorm -> tanh
  dense(1) -> sigmoid
}
""" + TRAIN.format("binary_cross_entropy")
SEQUENCES = """net Sequences {
  input n: 1
  input x: 5x3
  lstm(3, lengths=n) -> gru(2, bidirectional=on) -> rnn(2, return=last)
  dense(2)
}
""" + TRAIN.format("mse")
NETS = {"images": IMAGES, "vectors": VECTORS, "pixels": PIXELS, "sequences": SEQUENCES}

CONV1 = {"conv1.weight"}
BEFORE_POOL = CONV1 | {"batchnorm1.gamma", "batchnorm1.beta"}
BEFORE_LRN = BEFORE_POOL | {"conv2.weight"}
BEFORE_TANH = BEFORE_LRN | {"dense1.weight", "dense1.bias"}
HIDDEN = {"dense1.weight", "dense1.bias", "layernorm1.gamma", "layernorm1.beta"}
GATE = {"dense2.weight", "dense2.bias"}
CONV = {"conv1.weight", "conv1.bias"}
ROLES = ("weight_input", "weight_hidden", "bias_input", "bias_hidden")
LSTM = {f"lstm1.{role}" for role in ROLES}
GRU_REVERSE = {f"gru1.{role}_reverse" for role in ROLES}
BEFORE_DENSE = LSTM | GRU_REVERSE | {f"{layer}.{role}" for layer in ("gru1", "rnn1") for role in ROLES}


@dataclass(frozen=True)
class Fault:
    """In the function whose name begins like this `right` becomes `wrong`; these parameters' gradients go wrong, of all
    layers that share the function."""

    net: str
    function: str
    right: str
    wrong: str
    spoils: set[str]


TOP = "{\n"
FAULTS = {
    "cross_entropy: a wrong sign": Fault(
        "images", "output_loss", "-= scale;", "+= scale;", BEFORE_TANH | {"dense2.weight", "dense2.bias"}
    ),
    "dense weights: a forgotten example": Fault(
        "images", "dense2_backward_weight", TOP, "{\n    --n;\n", {"dense2.weight"}
    ),
    "dense input, tanh in its ending: a wrong sign": Fault(
        "images", "dense2_backward_input", "(1 - y * y)", "(1 + y * y)", BEFORE_TANH
    ),
    "dense bias: a missing term": Fault(
        "images", "dense_backward_bias", TOP, "{\n    --n;\n", {"dense1.bias", "dense2.bias"}
    ),
    "lstm: a missing term": Fault(
        "sequences", "lstm1_backward", "of_cell[u] = of_state * forget", "of_cell[u] = of_state", LSTM
    ),
    "gru: a missing term on the way from the last step to the first": Fault(
        "sequences", "gru1_backward_reverse", "= of_fresh * reset;", "= of_fresh;", LSTM | GRU_REVERSE
    ),
    "rnn: a wrong sign": Fault(
        "sequences", "rnn1_backward", "(1 - gate[u] * gate[u])", "(1 + gate[u] * gate[u])", BEFORE_DENSE
    ),
    "rnn: states and inputs one off": Fault(
        "sequences", r"conv_weight_gradient_direct(?=\()", TOP, "{\n    ++x;\n",
        {"rnn1.weight_input", "rnn1.weight_hidden"},
    ),
    "l2: a wrong scale": Fault(
        "images", "regularizer_gradient", "+= share", "+= 2 * share",
        {"conv1.weight", "conv2.weight", "dense1.weight", "dense2.weight"},
    ),
    "l2: missing": Fault(
        "vectors", "dense_weight_regularize", "+= share", "+= 0 * share",
        {"dense1.weight", "dense2.weight", "dense3.weight"},
    ),
    "lrn: a window one off": Fault("images", "lrn1_backward", "tap < 3", "tap < 2", BEFORE_LRN),
    "conv weights: a forgotten example": Fault(
        "images", "conv2_backward_weight", TOP, "{\n    --n;\n", {"conv2.weight"}
    ),
    "conv weights: a window one off": Fault("images", "conv1_backward_weight", TOP, "{\n    ++x;\n", CONV1),
    "conv input: filters one off": Fault("images", "conv2_backward_input", TOP, "{\n    ++w;\n", BEFORE_POOL),
    "avgpool: a window one off": Fault("images", "avgpool1_backward", TOP, "{\n    ++dout;\n", BEFORE_POOL),
    "batchnorm sums: a forgotten example": Fault(
        "images", "batchnorm1_backward_affine", TOP, "{\n    --n;\n", BEFORE_POOL
    ),
    "batchnorm input: a wrong mean": Fault(
        "images", "batchnorm1_backward_input", TOP, "{\n    dbeta = dgamma;\n", CONV1
    ),
    "mse: a wrong scale": Fault(
        "vectors", "output_loss", "(2 * (z - t))", "(z - t)", HIDDEN | GATE | {"dense3.weight", "dense3.bias"}
    ),
    "concat: the wrong slice": Fault("vectors", "slice_kernel", "+ start,", "+ (start == 0),", HIDDEN | GATE),
    "a sum of gradients: a missing term": Fault("vectors", "sigmoid1_gradient_sum", "x1[i] + x2[i]", "x1[i]", HIDDEN),
    "softmax: a missing term": Fault("vectors", "softmax1_backward", "(dout[c] - sum)", "dout[c]", GATE),
    "sigmoid: a wrong sign": Fault("vectors", "sigmoid1_backward", "(1 - y)", "(1 + y)", HIDDEN),
    "layernorm input: a missing term": Fault(
        "vectors", "layernorm1_backward_input", " - (in[f] - mean) * scale * slope", "",
        {"dense1.weight", "dense1.bias"},
    ),
    "layernorm gamma: a wrong scale": Fault(
        "vectors", "layernorm1_backward_affine", "((x[at] - moments[2 * i]) * moments[2 * i + 1])",
        "(x[at] - moments[2 * i])", {"layernorm1.gamma"},
    ),
    "maxpool: the wrong pixel of the window": Fault("pixels", "maxpool1_backward", TOP, "{\n    ++in;\n", CONV1),
    "conv bias: a chunk forgotten": Fault("pixels", "conv1_merge_bias", "chunk = 0", "chunk = 1", {"conv1.bias"}),
    "binary cross-entropy: a wrong sign": Fault(
        "pixels", "output_loss", "(real_sigmoid(z) - t)", "(real_sigmoid(z) + t)",
        CONV | {"dense1.weight", "batchnorm1.gamma", "batchnorm1.beta", "dense2.weight", "dense2.bias"},
    ),
}  # fmt: skip


def plant(source: CSource, fault: Fault) -> CSource:
    """The source with the fault; fails where there is not exactly one place for it."""
    functions = re.findall(rf"void {fault.function}\w*\([^{{}};]*\)\n\{{\n.*?\n\}}\n", source.code, re.DOTALL)
    places = [function for function in functions if fault.right in function]
    assert len(places) == 1, f"{len(places)} functions {fault.function}... with {fault.right!r}"
    (right,) = places
    assert source.code.count(right) == 1 and (fault.right == TOP or right.count(fault.right) == 1)
    return replace(source, code=source.code.replace(right, right.replace(fault.right, fault.wrong, 1)))


@pytest.fixture(autouse=True)
def quick_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs for a moment is not worth optimizing."""
    monkeypatch.setattr(build, "FLAGS", tuple("-O0" if flag == "-O3" else flag for flag in build.FLAGS))


def shaken(net: str, dtype: str) -> Model:
    """All parameters have shaken values. The update stays out of the kernels: each is there only once."""
    network = check_text(NETS[net], dtype=dtype)
    model = Model(network, options=Options(disable=("fused_update",)), target=TARGETS["generic"])
    return randomize_parameters(model, np.random.default_rng(3))


def checked(net: str) -> GradientCheck:
    """The check of all entries of all parameters."""
    model = shaken(net, "float64")
    x, y = random_batch(model.network, 4, 0)
    return check_gradients(model, x, y, 1000)


def differing(net: str) -> set[str]:
    """The parameters whose gradients `verify` finds wrong in float32, where it allows most."""
    rows = [row for row in verify(shaken(net, "float32"), 4) if row.what.startswith("gradient ")]
    return {row.what.removeprefix("gradient ") for row in rows if not row.ok}


@pytest.mark.parametrize("net", NETS)
def test_without_a_fault_all_is_great(net: str) -> None:
    found = checked(net)
    assert not found.failures and found.verdict.startswith("great")
    assert not differing(net)


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[what]

    def compile_faulty(plan: Plan) -> build.Library:
        return build.build(plant(emit(plan), fault), plan.target)

    monkeypatch.setattr(compiled, "compile_plan", compile_faulty)
    assert differing(fault.net) == fault.spoils
    found = checked(fault.net)
    assert {row.name for row in found.failures} == fault.spoils
    assert not found.verdict.startswith("great")
    for row in found.failures:
        assert row.worst is not None and row.worst.numerical != pytest.approx(row.worst.analytic, rel=1e-4)


def test_the_faults_are_of_many_kernels() -> None:
    assert len({fault.function for fault in FAULTS.values()}) >= 20
