"""Stores that assume aligned vectors: results too large for any cache, with aligned vectors and without.

Which stores are used is decided by the capacity; predictions, gradients and a step of a few examples are compared with
NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from dslc.compiler import check_file, check_text, plan_network
from dslc.kernels._winograd import NON_TEMPORAL_BYTES
from dslc.planning import slicing
from dslc.planning.planner import Options
from dslc.runtime.model import Model
from dslc.target import TARGETS
from helpers import REPO, WIDE, assert_agrees, randomize_parameters, runs

pytestmark = pytest.mark.optimized
TARGET = TARGETS["x86-64-v4"] if runs(TARGETS["x86-64-v4"]) else WIDE
"""Only where a vector is a whole line of the cache are such stores compiled to others."""


@dataclass(frozen=True)
class Large:
    """A network whose kernels of a name, by step, store a large result past the caches (`far`) or may not.

    `body` has the places `channels`, where a vector is filled, or is not.
    """

    body: str
    kernel: str
    steps: tuple[str, ...]
    algorithm: str = "winograd4x3"
    input: str = "24x24x2"


INSIDE = Large(
    "conv({channels}, 3x3, pad=same) -> relu -> global_avgpool -> dense(2)", "conv1_forward", ("predict", "train")
)
POOLED = Large(
    "conv({channels}, 3x3, pad=same) -> maxpool(2x2) -> global_avgpool -> dense(2)", "conv1_forward", ("predict",),
    input="48x48x2",
)  # fmt: skip
OUTPUT = Large("conv({channels}, 3x3, pad=same)", "conv1_forward", ("predict",))
BACK = Large(
    "conv({channels}, 1x1) -> tanh -> conv(24, 3x3, pad=same) -> global_avgpool -> dense(2)", "conv2_backward_input",
    ("gradients", "train"),
)  # fmt: skip
CASES = {
    "inside, whole vectors": (INSIDE, 16, True),
    "inside, parts of vectors": (INSIDE, 17, False),
    "inside, a vector and a half": (INSIDE, 24, False),
    "pooled, whole vectors": (POOLED, 16, True),
    "pooled, parts of vectors": (POOLED, 20, False),
    "the caller's array": (OUTPUT, 16, False),
    "back, whole vectors": (BACK, 16, True),
    "back, parts of vectors": (BACK, 20, False),
}
"""The network, its channels in float32 (in float64 half as many), and whether they make an aligned result."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_result_larger_than_the_caches(
    name: str, dtype: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicing, "SLICE_NUMBERS", 1 << 40)  # mini-batches stay whole
    if not runs(TARGET):
        pytest.skip("not on this CPU")
    large, channels, far = CASES[name]
    channels = channels if dtype == "float32" else channels // 2 + channels % 2
    model = Model(
        check_text(text(large, channels, dtype)), 1, Options(algorithms=((large.kernel, large.algorithm),)), TARGET
    )
    for step in large.steps:
        (kernel,) = [k for k in model.plan.step(step).kernels if k.operation.name.startswith(large.kernel)]
        assert kernel.variant.name == large.algorithm
        assert kernel.variant.context["far"] is far and kernel.variant.aligned == (("out",) if far else ())
        written = kernel.operation.writes[0]
        assert written.elements * model.batch * model.dtype.itemsize > NON_TEMPORAL_BYTES
    assert_agrees(randomize_parameters(model, rng), 3, rng)


def test_vgg_is_stored_past_the_caches() -> None:
    """Its channels fill vectors: no large result of Winograd's algorithm takes the slower way."""
    plan = plan_network(check_file(REPO / "specs" / "vgg16.net"), TARGET)
    large = [
        kernel
        for step in plan.steps
        for kernel in step.kernels
        if kernel.variant.shared_template == "kernels/_winograd.c.j2"
        and kernel.operation.writes[0].elements * plan.batch * plan.itemsize > NON_TEMPORAL_BYTES
    ]
    assert len(large) >= 5
    assert all(kernel.variant.aligned == ("out",) for kernel in large)


def text(large: Large, channels: int, dtype: str) -> str:
    """The batch is just so large that the result is."""
    rows, columns, _ = (int(n) for n in large.input.split("x"))
    pixels = rows * columns // (4 if large is POOLED else 1)
    batch = NON_TEMPORAL_BYTES // (pixels * channels * np.dtype(dtype).itemsize) + 1
    body = large.body.format(channels=channels)
    train = f"train {{\n  loss mse\n  optimizer sgd(0.01)\n  batch {batch}\n  precision {dtype}\n}}\n"
    return f"net Large {{\n  input image: {large.input}\n  {body}\n}}\n{train}"
