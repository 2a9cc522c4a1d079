"""The verifier of plans: no false alarm on any plan that the planner makes, and it would have refused old mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from test_copies import PADDED_AND_NARROW, padded_and_narrow
from test_planted_planner_faults import FAR, STREAMED

from dslc.codegen.c_source import RUNS
from dslc.compiler import check_file, check_text, plan_network
from dslc.graph import ROWS, SMALL_BATCH, Graph, Phase, Step
from dslc.ir import Network
from dslc.plan import Plan
from dslc.planning.plan_error import PlanError
from dslc.planning.planner import PASSES, Options
from dslc.planning.verifier import verify_plan
from dslc.target import TARGETS
from helpers import NETWORKS, REPO, SPECS

SHAPES = {
    "u": """net U {
  input image: 16x16x3
  a = image -> conv(8, 3x3, pad=same) -> batchnorm -> relu
  b = a -> maxpool(2x2) -> conv(16, 3x3, pad=same) -> relu -> conv(8, 3x3, pad=same) -> relu -> flatten
  c = a -> conv(24, 5x5, stride=2, pad=same) -> relu -> flatten
  concat(b, c) -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 32
}
""",
    "heads": """net Heads {
  input image: 11x13x5
  input x: 7
  a = image -> standardize -> conv(33, 3x3, pad=same) -> silu -> avgpool(3x3, stride=2) -> flatten
  b = x -> dense(40) -> layernorm -> tanh
  joined = concat(a, b) -> dense(20) -> dropout(0.5)
  output kind = joined -> dense(4) -> softmax
  output size = joined -> dense(1)
}
train {
  loss kind: cross_entropy
  loss size: mse
  optimizer momentum(0.01)
  regularize l2(0.001)
  clip norm(1)
  batch 17
}
""",
    "depthwise": """net Depthwise {
  input image: 15x15x3
  conv(32, 3x3, stride=2, pad=same) -> batchnorm -> relu
  repeat 2 { conv(32, 3x3, pad=same, groups=32) -> batchnorm -> relu -> conv(32, 1x1) -> batchnorm -> relu }
  conv(32, 3x3, pad=same, groups=8) -> relu
  global_avgpool -> dense(10) -> softmax
}
train {
  loss cross_entropy
  optimizer rmsprop(0.01)
  batch 20
}
""",
    "alone": "net Alone {\n  input x: 4\n  dense(3) -> tanh\n}\n",
    "nothing": "net Nothing {\n  input x: 4\n  linear\n}\n",
    "far": FAR,
    "streamed": STREAMED,
    **{name: padded_and_narrow(body) for name, body in PADDED_AND_NARROW.items()},
    **NETWORKS,
}
"""Branches of one input, several inputs and heads, groups of all kinds, no training, and what other tests have."""
MACHINES = ("c99", "generic", "x86-64-v3", "x86-64-v4")


@cache
def networks() -> dict[str, Network]:
    """Every shipped spec but the second VGG, and the shapes above."""
    return {spec.stem: check_file(spec) for spec in SPECS if spec.stem != "vgg19"} | {
        name: check_text(text) for name, text in SHAPES.items()
    }


def plans(name: str, machine: str) -> Iterator[Plan]:
    """For one thread and two, in both precisions, with every pass left out in turn."""
    for threads, options in ((1, Options()), *((2, Options(names)) for names in ((), *((p,) for p in PASSES), PASSES))):
        yield plan_network(networks()[name], TARGETS[machine], None, threads, options)
    for threads in (1, 2):
        yield plan_network(in_float64(name), TARGETS[machine], None, threads)


@cache
def in_float64(name: str) -> Network:
    if name in SHAPES:
        return check_text(SHAPES[name], dtype="float64")
    return check_file(REPO / "specs" / f"{name}.net", dtype="float64")


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", [*(s.stem for s in SPECS if s.stem != "vgg19"), *SHAPES])
def test_no_false_alarm(name: str, machine: str) -> None:
    for plan in plans(name, machine):
        plan.graph.verify()
        verify_plan(plan)


def test_copies_shared_between_alternatives_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies were once made in the first phase that wants them, whether or not it runs before the others: predictions
    of few examples read what only those of many had made. Plans of that time are refused, and no others."""

    def all_before(step: Step, name: str) -> tuple[Phase, ...]:
        return step.phases[: [phase.name for phase in step.phases].index(name)]

    refused = 0
    for name in (*PADDED_AND_NARROW, "lenet5", "residual", "far"):
        for machine, left_out in ((m, o) for m in MACHINES for o in ((), ("prepack",))):
            with monkeypatch.context() as patched:
                patched.setattr(Step, "before", all_before)
                plan = plan_network(networks()[name], TARGETS[machine], options=Options(left_out))
            if reads_what_is_not_made(plan.graph):
                refused += 1
                with pytest.raises(AssertionError, match=r"_small_batch in small_batch reads \w+ before it is written"):
                    plan.graph.verify()
                with pytest.raises(PlanError, match=r"in predict small_batch reads \w+, which was not written before"):
                    verify_plan(plan)
            else:
                verify_plan(plan)
    assert refused >= len(PADDED_AND_NARROW) * 3


def reads_what_is_not_made(graph: Graph) -> bool:
    """The phase for few examples has no copy of its own of something that it reads."""
    phases = {phase.name: phase for phase in graph.predict.phases}
    if SMALL_BATCH not in phases:
        return False
    own = [op for name in ("prepack", SMALL_BATCH) if name in phases for op in phases[name].operations]
    made = {t for op in own for t in op.writes}
    return any(t.role == "activation" and t not in made for op in phases[SMALL_BATCH].operations for t in op.reads)


def test_what_the_c_runs_is_a_row() -> None:
    """Each public function runs the beginning of a row, or of several of which it chooses."""
    for function, phases in RUNS.items():
        step = phases[0].partition("_")[0]
        names = [name.removeprefix(f"{step}_") for name in phases]
        chosen = [[name for name in row if name in names] for row in ROWS[step]]
        assert all(tuple(row[: len(c)]) == tuple(c) for row, c in zip(ROWS[step], chosen, strict=True)), function
        assert {name for c in chosen for name in c} == set(names), function
