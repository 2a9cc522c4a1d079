"""Fused updates: the kernel that computes a weight's gradient updates the weight, so the gradient is never stored.

    dW = dense_weight_gradient(x, dy); dW += slope(W); update(W, dW)
    becomes   update(W) by dense_weight_gradient(x, dy)

Only in the step `train`: the step `gradients` returns the gradients themselves. And only if nothing else reads the
gradient: clipping by the norm, for example, needs all gradients before the first update. Where gradients are added up
over ranks only the regularizer, which comes behind the sum, is fused.
"""

from __future__ import annotations

from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.lowering.details import ParameterDetail
from dslc.operation import Operation, Tensor


def fuse_updates(graph: Graph) -> Graph:
    """Fuses regularizers into the updates, and updates into the operations that compute the gradients."""
    return replace(graph, train=None if graph.train is None else _update_step(graph.train))


def _update_step(step: Step) -> Step:
    ordinary = ("update", "regularizer_gradient", "wait_for_sums")
    others = {t for op in step.operations if op.kind not in ordinary for t in op.reads}
    summed = {t for op in step.operations if op.kind == "wait_for_sums" for t in op.reads}
    updates = {op.reads[1]: op for op in step.operations if op.kind == "update" and op.reads[1] not in others}
    slopes = {op.writes[0]: op for op in step.operations if op.kind == "regularizer_gradient"}
    merged = {gradient: _with_slope(update, slopes.get(gradient)) for gradient, update in updates.items()}
    own = merged.keys() - summed
    at_once = {t for op in step.operations for t in op.writes if t in own and kernels.updates(op)}
    gone = {merged[t].name for t in at_once} | {slopes[t].name for t in slopes if t in merged}
    return replace(step, phases=tuple(_update_phase(phase, merged, at_once, gone) for phase in step.phases))


def _update_phase(phase: Phase, merged: dict[Tensor, Operation], at_once: set[Tensor], gone: set[str]) -> Phase:
    operations: list[Operation] = []
    for op in phase.operations:
        if op.name in gone:
            continue
        gradient = next((t for t in op.writes if t in at_once), None)
        if op.kind == "update":
            op = merged.get(op.reads[1], op)
        elif gradient is not None:
            op = _with_update(op, merged[gradient])
        operations.append(op)
    return replace(phase, operations=tuple(operations))


def _with_slope(update: Operation, slope: Operation | None) -> Operation:
    if slope is None:
        return update
    assert isinstance(update.detail, ParameterDetail) and isinstance(slope.detail, ParameterDetail)
    detail = replace(update.detail, formula=slope.detail.formula)
    return replace(update, detail=detail, numbers=(*update.numbers, *slope.numbers))


def _with_update(op: Operation, update: Operation) -> Operation:
    weights, _, *states = update.reads
    return replace(
        op,
        name=f"{op.name}_update",
        reads=(*op.reads, weights, *states),
        writes=update.writes,
        detail=update.detail,
        numbers=(*op.numbers, *update.numbers),
    )
