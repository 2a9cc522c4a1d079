"""Fused backward pass of large dense layers: weights that do not fit in cache are read once instead of twice.

    dx = dy W; update(W) by dW = dy^T x   becomes   one operation

The two must directly follow each other.
"""

from __future__ import annotations

from dataclasses import replace

from dslc.graph import Graph, Phase
from dslc.kernels import Setting, dense_backward
from dslc.operation import Operation


def fuse_backward(graph: Graph, setting: Setting) -> Graph:
    """Fuses the input gradient of each large dense layer with its weight gradient and update, in training."""
    if graph.train is None:
        return graph
    phases = tuple(_join(phase, setting) for phase in graph.train.phases)
    return replace(graph, train=replace(graph.train, phases=phases))


def _join(phase: Phase, setting: Setting) -> Phase:
    done: list[Operation] = []
    for op in phase.operations:
        before = done[-1] if done else None
        if before is not None and _fit(before, op, setting):
            done[-1] = dense_backward.fuse(before, op)
        else:
            done.append(op)
    return replace(phase, operations=tuple(done))


def _fit(dx: Operation, update: Operation, setting: Setting) -> bool:
    """Whether these are the input gradient and the weight gradient with update of one large dense layer."""
    return (
        dx.kind == "dense_input_gradient"
        and update.kind == "dense_weight_gradient"
        and dx.reads[1] == update.writes[0]
        and dense_backward.fits(dx, setting)
    )
