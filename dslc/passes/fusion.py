"""Lets an operation apply the formula that follows it to what it stores, and saves a pass through memory.

y = conv(x); z = relu(y)             becomes  z = conv(x) with relu
dy = dense_input_gradient(dz);       becomes  dx = dense_input_gradient(dz) with the derivative
dx = dy * f'(y)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dslc import kernels
from dslc.graph import ACTIVATION, Fused, Graph, Operation, Phase, Step, Tensor
from dslc.layers import MapDetail, X


def fuse(graph: Graph) -> Graph:
    """The graph with formulas of one element put into the operations before them."""
    return graph.map(_fuse_step)


def _fuse_step(step: Step) -> Step:
    readers = Counter(t for op in step.operations for t in op.reads)
    return replace(step, phases=tuple(_fuse_phase(phase, readers) for phase in step.phases))


def _fuse_phase(phase: Phase, readers: Counter[Tensor]) -> Phase:
    done: list[Operation] = []
    for op in phase.operations:
        at = _producer(op, done, readers)
        if at is None:
            done.append(op)
        else:
            done[at] = _fused(done[at], op)
    return replace(phase, operations=tuple(done))


def _producer(op: Operation, done: list[Operation], readers: Counter[Tensor]) -> int | None:
    """Which earlier operation can do what `op` does, in the place of its own result."""
    formula = _formula(op)
    if formula is None:
        return None
    source = op.reads[0]
    if source.role != ACTIVATION or readers[source] != 1:
        return None
    for index in range(len(done) - 1, -1, -1):
        producer = done[index]
        if source in producer.writes:
            fits = producer.writes == (source,) and producer.fused is None and kernels.fuses(producer)
            written_later = {t for later in done[index + 1 :] for t in later.writes}
            return index if fits and not written_later & set(op.reads[1:]) else None
    return None


def _formula(op: Operation) -> Fused | None:
    """What the operation does to each element, where it can be done elsewhere."""
    if not isinstance(op.detail, MapDetail):
        return None
    if op.kind == "map":
        return Fused(op.detail.formula)
    if op.kind == "map_gradient" and op.detail.variables in ((), ("y",)):
        return Fused(X * op.detail.formula, needs_y=bool(op.detail.variables))
    return None


def _fused(producer: Operation, op: Operation) -> Operation:
    fused = _formula(op)
    assert fused is not None
    comment = producer.comment if op.line == producer.line or not op.comment else f"{producer.comment} -> {op.comment}"
    return replace(producer, reads=(*producer.reads, *op.reads[1:]), writes=op.writes, fused=fused, comment=comment)
