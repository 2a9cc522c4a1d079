"""Goes once over weights that come from memory, where the way back would go twice.

    dx = dy W; update(W) by dW = dy^T x   becomes   both at once

Nothing between the two may touch what they read or write.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import Graph, Phase
from dslc.kernels import Setting, dense_backward
from dslc.operation import Operation


def go_back_together(graph: Graph, setting: Setting) -> Graph:
    """The graph with the two ways back through a large dense layer in one."""
    if graph.train is None:
        return graph
    phases = tuple(_join(phase, setting) for phase in graph.train.phases)
    return replace(graph, train=replace(graph.train, phases=phases))


def _join(phase: Phase, setting: Setting) -> Phase:
    done: list[Operation] = []
    for op in phase.operations:
        before = done[-1] if done else None
        if before is not None and _fit(before, op, setting):
            done[-1] = dense_backward.join(before, op)
        else:
            done.append(op)
    return replace(phase, operations=tuple(done))


def _fit(dx: Operation, update: Operation, setting: Setting) -> bool:
    """One layer's two ways back, the second with its update."""
    return (
        dx.kind == "dense_input_gradient"
        and update.kind == "dense_weight_gradient"
        and dx.reads[1] == update.writes[0]
        and dense_backward.joins(dx, setting)
    )
