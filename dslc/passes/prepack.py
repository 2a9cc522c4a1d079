"""Prepacking: what prediction computes from parameters alone is computed once, not in every call."""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import PREPACK, Graph, Phase, Step
from dslc.operation import PARAMETER, Operation, Tensor


def prepack_parameters(graph: Graph) -> Graph:
    """Moves the operations of `predict` that depend only on parameters into a phase of their own, `prepack`."""
    return replace(graph, predict=_prepare(graph.predict))


def _prepare(step: Step) -> Step:
    prepared: set[Tensor] = set()
    early: dict[str, Operation] = {}  # by name: alternative phases may both have one
    late: list[Phase] = []
    for phase in step.phases:
        rest: list[Operation] = []
        for op in phase.operations:
            if op.reads and all(t.role == PARAMETER or t in prepared for t in op.reads):
                prepared.update(op.writes)
                early.setdefault(op.name, op)
            else:
                rest.append(op)
        late.append(replace(phase, operations=tuple(rest)))
    return replace(step, phases=(Phase(PREPACK, tuple(early.values())), *late)) if early else step


def prepared(step: Step) -> tuple[Tensor, ...]:
    """The tensors that `prepack` writes, which must survive from one prediction to the next."""
    return tuple(t for phase in step.phases if phase.name == PREPACK for op in phase.operations for t in op.writes)
