"""The judge of random networks can fail: faults that are planted in a plan or in its C are reported.

Most faults are of the planner: a copy that is not made, memory that two tensors share, threads that do not meet. Some
are of one formula in the C.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import pytest

from dslc.codegen import build
from dslc.codegen.c_source import CSource
from dslc.codegen.emit import emit
from dslc.compiler import check_text
from dslc.plan import Kernel, Plan, PlannedStep
from dslc.runtime.native import compiled
from fuzzing.judge import Wrong, check, expect
from fuzzing.variations import Case, Variation
from helpers import randomize_parameters

NET = """net Faulty {
  input x: 7x9x3
  stem = x -> conv(16, 1x1) -> sigmoid
  body = stem -> conv(16, 3x3, pad=same) -> batchnorm(eps=1e-3) -> tanh
  few = body -> conv(2, 1x1) -> maxpool(2x2)
  more = few -> flatten -> dense(5) -> dropout(0.3) -> sigmoid
  output out = more -> dense(3) -> softmax
}
train {
  loss cross_entropy(label_smoothing=0.1, class_weights=(1, 2, 0.5))
  optimizer adam(lr=0.01)
  regularize l2(0.1)
  clip norm(0.1)
  batch 5
}
"""
CASE = Case(NET, 1, (Variation(machine="generic", level="-O0"),))
SHARED = Case(NET, 1, (Variation(machine="generic", level="-O0", as_large=True),))


@dataclass(frozen=True)
class Fault:
    """What happens to the plan, what to its C, and the kinds of numbers of which one must be reported."""

    reported: set[str]
    plan: Callable[[Plan], Plan] = lambda plan: plan
    code: tuple[str, str] | None = None
    case: Case = CASE


def change(
    plan: Plan, steps: str, kernels: Callable[[PlannedStep, str, tuple[Kernel, ...]], tuple[Kernel, ...]]
) -> Plan:
    """The plan with other kernels in the steps of these names."""

    def changed(step: PlannedStep) -> PlannedStep:
        if step.name not in steps.split():
            return step
        return replace(step, phases=tuple(replace(p, kernels=kernels(step, p.name, p.kernels)) for p in step.phases))

    found = replace(plan, steps=tuple(changed(step) for step in plan.steps))
    assert found != plan
    return found


def drop(steps: str, phase: str, kind: str) -> Callable[[Plan], Plan]:
    """Operations of this kind do not run."""

    def dropped(step: PlannedStep, name: str, kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        return tuple(k for k in kernels if name != phase or k.operation.kind != kind)

    return lambda plan: change(plan, steps, dropped)


def never_meet(plan: Plan) -> Plan:
    """All barriers but the last of each phase are gone."""

    def alone(step: PlannedStep, name: str, kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
        return tuple(replace(k, barrier=k.barrier and k is kernels[-1]) for k in kernels)

    return change(plan, "predict gradients train", alone)


def move(steps: str, name: str, beside: str, by: int, end: bool = False) -> Callable[[Plan], Plan]:
    """A tensor lies `by` numbers behind the start of another one, or its end."""

    def moved(step: PlannedStep, batch: int) -> PlannedStep:
        if step.name not in steps.split():
            return step
        buffer, other = step.workspace[name], step.workspace[beside]
        at = other.offset + by + (other.layout.total(batch) if end else 0)
        return replace(step, workspace={**step.workspace, name: replace(buffer, offset=at)})

    return lambda plan: replace(plan, steps=tuple(moved(step, plan.batch) for step in plan.steps))


PREDICTION = {"predict", "predict twice"}
TRAINING = {"loss", "gradient", "update"}
FAULTS = {
    "few examples read a padded copy of others": Fault(PREDICTION, drop("predict", "small_batch", "pad")),
    "a padded copy is not made": Fault(PREDICTION, drop("predict", "forward", "pad")),
    "filters are not prepared": Fault(PREDICTION, drop("predict", "prepack", "pack_filters")),
    "batch norm is not folded": Fault(PREDICTION, drop("predict", "prepack", "fold_batchnorm")),
    "examples stay in lanes": Fault(TRAINING, drop("gradients train", "backward", "from_lanes")),
    "a bias is never summed up": Fault(TRAINING, drop("gradients train", "backward", "chunk_sum")),
    "running averages stand still": Fault({"update"}, drop("train", "update", "batchnorm_running")),
    "two live tensors share memory": Fault(TRAINING, move("gradients train", "conv2_out", "tanh1_out", 0)),
    "a buffer is a vector too short": Fault(
        TRAINING, move("gradients train", "batchnorm1_batch_mean", "tanh1_out", -4, end=True)
    ),
    "threads do not meet": Fault({*PREDICTION, "threads"}, never_meet, case=SHARED),
    "tanh: a wrong sign": Fault({"gradient"}, code=(r"\(1 - y \* y\)", "(1 + y * y)")),
    "batchnorm: without eps": Fault(
        {"predict", *TRAINING}, code=(r"real_sqrt\(var\[c\] \+ [\d.e-]+f?\)", "real_sqrt(var[c])")
    ),
    "dropout: the mask of step 0": Fault({"update"}, code=(r"(\d+u), step, seed", r"\1, 0, seed")),
    "lanes: the last rest is forgotten": Fault(
        {"predict"}, code=(r"(_from_lanes\([^)]*\)\n\{\n)", r"\1    if (n % 4 == 1) --n;\n")
    ),
    "clip: one gradient does not count": Fault({"update"}, code=(r"sum \+= \(double\)norms1\[chunk\].*", "")),
    "averages: another momentum": Fault({"update"}, code=(r"(var\[c\] = multiply_add\()0\.9f,", r"\g<1>0.8f,")),
}  # fmt: skip


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    def compile_faulty(plan: Plan) -> build.Library:
        source = emit(fault.plan(plan))
        return build.build(source if fault.code is None else spoiled(source, *fault.code), plan.target)

    with patch.object(compiled, "compile_plan", compile_faulty):
        yield


def spoiled(source: CSource, right: str, wrong: str) -> CSource:
    code, places = re.subn(right, wrong, source.code)
    assert places
    return replace(source, code=code)


@pytest.mark.parametrize("case", [CASE, SHARED], ids=["alone", "shared"])
def test_without_a_fault(case: Case) -> None:
    tally = check(case)
    assert tally.checks > 30 and not tally.unsure and not tally.skipped


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_reported(what: str) -> None:
    fault = FAULTS[what]
    with planted(fault), pytest.raises(Wrong) as found:
        check(fault.case)
    assert found.value.kind in fault.reported


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rounding_moves_little(precision: str) -> None:
    """What is allowed to differ is a small part of the numbers, but for a gradient that is zero and steps along it.

    By four seeds it is at most 88 eps, where Adam divides by a root that is rounded itself."""
    network = check_text(NET, dtype=precision)
    expected = expect(randomize_parameters(CASE.variations[0].model(network), np.random.default_rng(1)), 1)
    zero = ("conv2.bias", "batchnorm1.mean")  # the bias before batchnorm, and what it moves
    judged = {name: np.abs(exact).max() for name, exact in expected.exact.items() if not any(z in name for z in zero)}
    assert len(judged) > 60 and all(expected.scatter[n] <= 100 * np.finfo(precision).eps * judged[n] for n in judged)
