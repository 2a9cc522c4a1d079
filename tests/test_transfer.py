"""Transfer learning: frozen layers cost no backward work, and what was learned from some digits helps with others."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

from dslc.cli.main import run
from dslc.cli.summary import summarize
from dslc.compiler import check_file, check_text, plan_network
from dslc.ir import Network
from dslc.operation import GRADIENT, STATE
from dslc.plan import Plan, Work
from helpers import REPO

SPEC = REPO / "specs" / "transfer.net"
CONV1, CONV2, DENSE, HEAD = 14 * 14 * 8 * 25, 7 * 7 * 16 * 25 * 8, 784 * 64, 64 * 5
"""Multiply-adds of each layer for one example, by hand."""


def backward(plan: Plan) -> list[str]:
    """The operations of both backward phases and of the update."""
    steps = [step for step in plan.steps if step.name in ("gradients", "train")]
    phases = [phase for step in steps for phase in step.phases if phase.name in ("backward", "update")]
    assert {phase.name for phase in phases} == {"backward", "update"}
    return [kernel.operation.name for phase in phases for kernel in phase.kernels]


def freezing(layers: tuple[str, ...]) -> Network:
    """The spec with these layers frozen in `train`."""
    text = SPEC.read_text().replace("  epochs ", f"  freeze {', '.join(layers)}\n  epochs " if layers else "  epochs ")
    return check_text(text)


@pytest.mark.parametrize(
    ("layers", "work"),
    [
        ((), CONV1 + 2 * (CONV2 + DENSE + HEAD)),
        (("conv1",), CONV2 + 2 * (DENSE + HEAD)),
        (("conv1", "conv2"), DENSE + 2 * HEAD),
        (("conv1", "conv2", "dense1"), HEAD),
        (("dense1",), CONV1 + 2 * CONV2 + DENSE + 2 * HEAD),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, tuple) else str(value),
)
def test_multiply_adds_of_a_training_step(layers: tuple[str, ...], work: int) -> None:
    """Every layer that learns has the gradient of its weights, and that of its input where something before it does."""
    network = freezing(layers)
    found = summarize(network, plan_network(network)).training_step
    assert found == Work(CONV1 + CONV2 + DENSE + HEAD, work)


def test_nothing_is_computed_for_frozen_layers() -> None:
    learning, still = (plan_network(check_file(SPEC, {"frozen": on})) for on in (False, True))
    before = ("image", "conv1", "relu1", "conv2", "relu2", "flatten1")
    spared = {name for name in backward(learning) if name.startswith(before)}
    assert {"conv1_weight_update", "conv2_weight_update", "relu2_backward"} <= spared
    assert not [name for name in backward(still) if name.startswith(before)]
    kept = {t.name for t in still.graph.train.tensors if t.role in (GRADIENT, STATE)}  # type: ignore[union-attr]
    assert kept and all(name.startswith(("dense1", "head")) for name in kept)


def test_a_frozen_layer_in_the_middle_hands_the_gradient_on() -> None:
    names = backward(plan_network(freezing(("conv2", "dense1"))))
    for layer in ("conv2", "dense1"):
        of_layer = {name for name in names if name.startswith(layer)}
        assert any("backward_input" in name for name in of_layer)
        assert not [name for name in of_layer if "backward_weight" in name or "bias" in name or "update" in name]
    assert any(name.startswith("conv1_backward_weight") for name in names)


def test_check_prints_what_freezing_spares(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for switch in ("off", "on"):
        assert run(["check", str(SPEC), "-D", f"frozen={switch}"]) == 0
        lines += [
            line for line in capsys.readouterr().out.splitlines() if line.startswith("multiply-adds of a training")
        ]
    assert lines == [
        "multiply-adds of a training step, an example: 246,496 forward, 453,792 backward",
        "multiply-adds of a training step, an example: 246,496 forward, 50,816 backward",
    ]
    assert all(line in (REPO / "docs" / "transfer.md").read_text() for line in lines)


def test_a_network_that_only_predicts_has_no_training_step() -> None:
    network = check_text("net Only {\n  input x: 3\n  dense(2)\n}\n")
    assert summarize(network, plan_network(network)).training_step is None


@pytest.mark.slow
@pytest.mark.trains
def test_transfer_beats_training_from_scratch() -> None:
    """The script of docs/transfer.md, shortened: ten images of each of 5 to 9."""
    script = runpy.run_path(str(REPO / "docs" / "transfer.py"))
    assert len(script["few"](script["digits"](script["load_dataset"]("mnist").train, 5), 1).x) == 50
    scratch, trained, still = np.mean([script["accuracies"](seed, 2, 30) for seed in (1, 2, 3)], axis=0)
    assert trained > scratch + 0.02 and still > scratch + 0.02, (scratch, trained, still)
