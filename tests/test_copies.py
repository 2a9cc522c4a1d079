"""Copies of tensors in another form: every phase finds those that it reads, and each is what it was made to be."""

from __future__ import annotations

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.graph import SMALL_BATCH
from dslc.planning.planner import Options
from dslc.runtime.model import Model
from dslc.target import TARGETS, native
from helpers import FORWARD, assert_agrees, assert_close, data, interpreter, randomize_parameters, runs, spoil_memory

BATCH = 16
TRAIN = f"train {{\n  loss mse\n  optimizer sgd(0.01)\n  batch {BATCH}\n}}\n"
PADDED_AND_NARROW = {
    "few filters behind": "conv(32, 3x3, pad=same) -> relu -> conv(2, 1x1)",
    "segmentation": "conv(16, 3x3, pad=same) -> relu -> conv(16, 3x3, pad=same) -> relu -> conv(2, 1x1) -> sigmoid",
    "stride": "conv(24, 3x3, stride=2, pad=same) -> relu -> conv(3, 3x3, stride=2, pad=same) -> flatten -> dense(5)",
}
"""A padded convolution on the input, and behind it one of fewer filters than lanes: few examples have a phase of their
own."""


def padded_and_narrow(body: str) -> str:
    return f"net Few {{\n  input image: 7x9x3\n  {body}\n}}\n{TRAIN}"


@pytest.mark.parametrize("left_out", [(), ("prepack", "memory")], ids=str)
@pytest.mark.parametrize(
    ("machine", "dtype"), [("generic", "float32"), ("x86-64-v3", "float64"), ("x86-64-v4", "float32")]
)
@pytest.mark.parametrize("name", PADDED_AND_NARROW)
def test_predictions_of_any_number_of_examples(
    name: str, machine: str, dtype: str, left_out: tuple[str, ...], rng: np.random.Generator
) -> None:
    """From 1 to 2 mini-batches and one, each from poisoned memory, against NumPy; and then others."""
    target = TARGETS[machine]
    if not runs(target):
        pytest.skip("not on this CPU")
    network = check_text(padded_and_narrow(PADDED_AND_NARROW[name]), dtype=dtype)
    model = randomize_parameters(Model(network, options=Options(left_out), target=target), rng)
    assert any(phase.name == SMALL_BATCH for phase in model.plan.graph.predict.phases)
    xs, _ = data(network, 2 * BATCH + 1, rng, dtype)
    wanted = next(iter(interpreter(model).predict(xs).values()))
    for n in range(1, 2 * BATCH + 2):
        spoil_memory(model)
        for some in (slice(n), slice(len(wanted) - n, None)):
            found = model.predict({"image": xs["image"][some]})
            assert_close(found, wanted[some], FORWARD[dtype], f"{n} examples")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_input_padded_in_two_ways_of_one_size(dtype: str, rng: np.random.Generator) -> None:
    """To 11x11 both, from the second row on and from the third; dW reads each once more on the way back."""
    text = f"""net Pads {{
  input image: 8x8x3
  a = image -> conv(16, 4x4, pad=same) -> tanh -> flatten
  b = image -> conv(16, 3x3, stride=2, pad=2) -> tanh -> flatten
  concat(a, b) -> dense(2)
}}
{TRAIN}"""
    for target in (TARGETS["generic"], native()):
        model = randomize_parameters(Model(check_text(text, dtype=dtype), target=target), rng)
        pads = [k.operation for k in model.plan.step("train").kernels if k.operation.kind == "pad"]
        assert {op.writes[0].shape for op in pads if op.reads[0].name == "image_in"} == {(11, 11, 3)}
        assert_agrees(model, 7, rng)
