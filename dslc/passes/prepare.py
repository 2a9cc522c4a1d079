"""Puts apart what a prediction computes from parameters alone: it is done once, not for every prediction."""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import Graph, Phase, Step
from dslc.operation import PARAMETER, Operation, Tensor

PREPARE = "prepare"


def prepare_parameters(graph: Graph) -> Graph:
    """The graph with a phase of its own for what depends on nothing but parameters."""
    return replace(graph, predict=_prepare(graph.predict))


def _prepare(step: Step) -> Step:
    prepared: set[Tensor] = set()
    early: list[Operation] = []
    late: list[Phase] = []
    for phase in step.phases:
        rest: list[Operation] = []
        for op in phase.operations:
            if op.reads and all(t.role == PARAMETER or t in prepared for t in op.reads):
                prepared.update(op.writes)
                early.append(op)
            else:
                rest.append(op)
        late.append(replace(phase, operations=tuple(rest)))
    return replace(step, phases=(Phase(PREPARE, tuple(early)), *late)) if early else step


def prepared(step: Step) -> tuple[Tensor, ...]:
    """What must stay from one prediction to the next."""
    return tuple(t for phase in step.phases if phase.name == PREPARE for op in phase.operations for t in op.writes)
