"""Dead code elimination: removes operations whose results are never read, such as the softmax in training under a
cross-entropy loss."""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import Graph, Phase, Step
from dslc.operation import ACTIVATION, Operation, Tensor


def remove_dead_operations(graph: Graph) -> Graph:
    """Removes operations that write only activations that nothing reads. The loss counts as read."""
    return graph.map(_alive)


def _alive(step: Step) -> Step:
    read: set[Tensor] = set()
    phases: list[Phase] = []
    for phase in reversed(step.phases):
        kept: list[Operation] = []
        for op in reversed(phase.operations):
            if any(t.role != ACTIVATION or t in read for t in op.writes):
                read.update(op.reads)
                kept.append(op)
        phases.append(replace(phase, operations=tuple(reversed(kept))))
    return replace(step, phases=tuple(reversed(phases)))
