"""float32 beside PyTorch's: on networks without kinks no error is more than ten times as large."""

from __future__ import annotations

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.lowering.lower import lower
from dslc.plan import Plan
from dslc.planning.planner import Options, make_plan
from dslc.planning.slicing import division
from dslc.runtime.model import Model
from helpers import WIDE, data, interpreter

pytestmark = pytest.mark.optimized

CONVOLUTIONS = """net Convolutions {
  input image: 14x14x16
  conv(64, 3x3, pad=same) -> silu
  conv(96, 3x3, pad=same) -> silu -> avgpool(2x2)
  conv(48, 5x5, pad=same) -> tanh -> global_avgpool
  dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(lr=0.05, momentum=0.9)
  batch     4
}
"""
"""Winograd's algorithm computes all three."""

DEEP = """net Deep {
  input x: 48
  repeat 12 { dense(48) -> silu }
  dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.001)
  batch     32
}
"""

NORMALIZED = """net Normalized {
  input image: 9x9x5
  conv(24, 3x3, pad=same, bias=off) -> batchnorm -> silu
  conv(20, 3x3, stride=2) -> layernorm -> gelu -> flatten
  dense(30, bias=off) -> batchnorm -> softplus
  dense(6)
}
train {
  loss      mse
  optimizer sgd(lr=0.05)
  batch     12
}
"""

LONG = """net Long {
  input x: 40
  sigmoid -> dense(40) -> sigmoid -> dense(33)
}
train {
  loss      mse
  optimizer sgd(lr=0.01)
  batch     4096
}
"""
"""Numbers of one sign, summed over many examples: rounding has a long way to grow."""

NETWORKS = {"convolutions": CONVOLUTIONS, "deep": DEEP, "normalized": NORMALIZED, "long": LONG}


def precise(network: Network) -> Network:
    return check_text(network.source.text.replace("batch ", "precise on\n  batch ", 1))


def winograd(plan: Plan) -> set[str]:
    """The operations of a plan, of all steps and phases, that Winograd's algorithm computes."""
    return {k.operation.name for step in plan.steps for k in step.kernels if "winograd" in k.function}


def times_torch(network: Network) -> float:
    """How many times PyTorch's error ours is, where it is the most."""
    pytest.importorskip("torch")
    from accuracy import measure

    assert network.training is not None and network.training.batch is not None
    return max(error.ratio for error in measure(network, network.training.batch))


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", NETWORKS)
def test_at_most_ten_times_the_error_of_pytorch(name: str) -> None:
    assert times_torch(check_text(NETWORKS[name])) <= 10


@pytest.mark.slow
@pytest.mark.torch
def test_at_most_three_times_where_it_is_precise() -> None:
    assert times_torch(precise(check_text(CONVOLUTIONS))) <= 3


def test_precise_leaves_winograd_out() -> None:
    """In prediction and training; without it all three convolutions would be computed so."""
    network = check_text(CONVOLUTIONS)
    plan = make_plan(lower(network), WIDE, division(network))
    assert {f"conv{i}_forward" for i in (1, 2, 3)} <= winograd(plan)
    assert not winograd(make_plan(lower(precise(network)), WIDE, division(network)))


def test_precise_overrules_the_choice_of_an_algorithm() -> None:
    """Such as `--tune` keeps it: what is no choice is not taken."""
    forced = Options(algorithms=(("conv1_forward", "winograd2x3"), ("train.conv3_forward", "winograd2x5")))
    network = check_text(CONVOLUTIONS)
    plan = make_plan(lower(network), WIDE, division(network), options=forced)
    assert "winograd2x3" in {kernel.variant.name for step in plan.steps for kernel in step.kernels}
    assert not winograd(make_plan(lower(precise(network)), WIDE, division(network), options=forced))


def test_precise_predicts_and_learns(rng: np.random.Generator) -> None:
    """Against the interpreter, more tightly than other tests of float32."""
    network = precise(check_text(CONVOLUTIONS))
    model = Model(network)
    xs, ys = data(network, 4, rng, "float32")
    reference = interpreter(model)
    wanted = reference.predict(xs)["output"]
    assert np.abs(model.predict(xs) - wanted).max() <= 5e-7 * np.abs(wanted).max()
    _, gradients, _ = reference.loss_and_gradients(xs, ys)
    for name, found in model.gradients(xs, ys).items():
        assert np.abs(found - gradients[name]).max() <= 2e-6 * np.abs(gradients[name]).max(), name
