"""A few of the random networks that `make fuzz-sanitized` runs under sanitizers; and a planted race, which is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dslc.ir import Network
from dslc.plan import Plan
from fuzz_sanitized import watch
from fuzzing.judge import Wrong
from fuzzing.run import search
from fuzzing.variations import Case, Variation

SPEC = """net Races {
  input x: 40
  dense(33) -> tanh -> dense(3)
}
train {
  loss      mse
  optimizer adam(0.01)
  batch     9
}
"""
pytestmark = [pytest.mark.sanitizers, pytest.mark.slow]


@pytest.mark.parametrize("number", [7])
def test_random_networks(number: int) -> None:
    search(number, watch, more=0, shrink=False)


def test_a_barrier_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Variation.plan

    def without(way: Variation, network: Network) -> Plan:
        plan = real(way, network)
        steps = []
        for step in plan.steps:
            phases = [
                replace(phase, kernels=tuple(replace(kernel, barrier=False) for kernel in phase.kernels))
                for phase in step.phases
            ]
            steps.append(replace(step, phases=tuple(phases)))
        return replace(plan, steps=tuple(steps))

    assert watch(Case(SPEC, 1, ())) == 4
    monkeypatch.setattr(Variation, "plan", without)
    with pytest.raises(Wrong, match="thread sanitizer"):
        watch(Case(SPEC, 1, ()))
