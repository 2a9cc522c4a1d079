"""Lets an operation apply the formula that follows it to what it stores, and saves a pass through memory.

y = conv(x); z = relu(y)             becomes  z = conv(x) with relu
dy = dense_input_gradient(dz);       becomes  dx = dense_input_gradient(dz) with the derivative
dx = dy * f'(y)
y = conv(x); z = y + v; u = relu(z)  becomes  u = conv(x) with the sum and relu
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.layers import MapDetail, X, Y
from dslc.operation import ACTIVATION, Fused, Operation, Tensor

SUM = Fused(X + Y, needs_y=True)


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
    found = [at for turn in _turns(op) if (at := _producer_of(turn, done, readers)) is not None]
    return max(found, default=None)


def _producer_of(op: Operation, done: list[Operation], readers: Counter[Tensor]) -> int | None:
    """The operation that makes the first thing that `op` reads, if it can do what `op` does."""
    source = op.reads[0]
    if source.role != ACTIVATION or readers[source] != 1:
        return None
    for index in range(len(done) - 1, -1, -1):
        producer = done[index]
        if source in producer.writes:
            fits = producer.writes == (source,) and kernels.fuses(producer) and _together(producer, op) is not None
            taken = {t for later in done[index + 1 :] for t in later.writes}
            if op.kind == "add":  # a layer reads what it computes from in a form of its own
                taken.update(producer.reads)
            return index if fits and not taken & set(op.reads[1:]) else None
    return None


def _turns(op: Operation) -> tuple[Operation, ...]:
    """The operation as the one that reads its result first, where it can be done elsewhere; a sum in either order."""
    if _formula(op) is None:
        return ()
    return (op, replace(op, reads=op.reads[::-1])) if op.kind == "add" else (op,)


def _formula(op: Operation) -> Fused | None:
    """What the operation does to each element, where it can be done elsewhere."""
    if op.kind == "add":
        return SUM if len(op.reads) == 2 else None
    if not isinstance(op.detail, MapDetail):
        return None
    if op.kind == "map":
        return Fused(op.detail.formula)
    if op.kind == "map_gradient" and op.detail.variables in ((), ("y",)):
        return Fused(X * op.detail.formula, needs_y=bool(op.detail.variables))
    return None


def _together(producer: Operation, op: Operation) -> Fused | None:
    """What both do to each element: one formula, or one of a sum."""
    formula = _formula(op)
    if producer.fused is None or formula is None:
        return formula
    if producer.fused == SUM and not formula.needs_y:
        return Fused(formula.formula.of("x", SUM.formula), needs_y=True)
    return None


def _fused(producer: Operation, op: Operation) -> Operation:
    fused = _together(producer, op)
    assert fused is not None
    said = op.line == producer.line or producer.comment.endswith(op.comment)
    comment = producer.comment if said else f"{producer.comment} -> {op.comment}"
    source = producer.writes[0]
    others = tuple(t for t in op.reads if t != source)
    return replace(producer, reads=(*producer.reads, *others), writes=op.writes, fused=fused, comment=comment)
