"""Epilogue fusion: an operation applies the elementwise formula that follows it before it stores its result, which
saves a pass over memory.

y = conv(x); z = relu(y)             becomes  z = conv(x) with relu
dy = dense_input_gradient(dz);       becomes  dx = dense_input_gradient(dz) with the derivative
dx = dy * f'(y)
y = conv(x); z = y + v; u = relu(z)  becomes  u = conv(x) with the sum and relu
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.layers import MapDetail, X, Y
from dslc.operation import ACTIVATION, Fused, Operation

SUM = Fused(X + Y, needs_y=True)


def fuse(graph: Graph) -> Graph:
    """Fuses elementwise formulas and sums into the operations before them."""
    return graph.map(_fuse_step)


def _fuse_step(step: Step) -> Step:
    readers = Counter(t.name for op in step.operations for t in op.reads)
    return replace(step, phases=tuple(_fuse_phase(phase, readers) for phase in step.phases))


def _fuse_phase(phase: Phase, readers: Mapping[str, int]) -> Phase:
    done: list[Operation] = []
    makers: dict[str, int] = {}
    for op in phase.operations:
        at = _producer(op, done, makers, readers)
        if at is None:
            at = len(done)
            done.append(op)
        else:
            done[at] = _fused(done[at], op)
        makers.update((t.name, max(at, makers.get(t.name, at))) for t in op.writes)
    return replace(phase, operations=tuple(done))


def _producer(
    op: Operation, done: list[Operation], makers: Mapping[str, int], readers: Mapping[str, int]
) -> int | None:
    """The index of an earlier operation that can compute `op` in its epilogue; the last if there are several."""
    found = [at for turn in _operand_orders(op) if (at := _producer_of(turn, done, makers, readers)) is not None]
    return max(found, default=None)


def _producer_of(
    op: Operation, done: list[Operation], makers: Mapping[str, int], readers: Mapping[str, int]
) -> int | None:
    """The index of the operation that writes the first tensor that `op` reads, if `op` can become its epilogue.
    `makers`: the index of the last operation that writes a tensor, by name; `readers`: how many read it."""
    source, *others = op.reads
    at = makers.get(source.name)
    if at is None or source.role != ACTIVATION or readers[source.name] != 1:
        return None
    producer = done[at]
    fits = producer.writes == (source,) and kernels.fuses(producer) and _combined(producer, op) is not None
    late = any(makers.get(t.name, -1) > at for t in others)
    if op.kind == "add":  # a layer may read its own inputs from a copy in another layout
        late = late or any(t in producer.reads for t in others)
    return at if fits and not late else None


def _operand_orders(op: Operation) -> tuple[Operation, ...]:
    """The operation if it can be an epilogue, its first read being the producer's result; a sum in either order."""
    if _formula(op) is None:
        return ()
    return (op, replace(op, reads=op.reads[::-1])) if op.kind == "add" else (op,)


def _formula(op: Operation) -> Fused | None:
    """The operation's elementwise formula; None if it cannot be an epilogue."""
    if op.kind == "add":
        return SUM if len(op.reads) == 2 else None
    if not isinstance(op.detail, MapDetail):
        return None
    if op.kind == "map":
        return Fused(op.detail.formula)
    if op.kind == "map_gradient" and op.detail.variables in ((), ("y",)):
        return Fused(X * op.detail.formula, needs_y=bool(op.detail.variables))
    return None


def _combined(producer: Operation, op: Operation) -> Fused | None:
    """The epilogue of the two combined: a single formula, or a formula of a sum; None if they cannot be combined."""
    formula = _formula(op)
    if producer.fused is None or formula is None:
        return formula
    if producer.fused == SUM and not formula.needs_y:
        return Fused(formula.formula.of("x", SUM.formula), needs_y=True)
    return None


def _fused(producer: Operation, op: Operation) -> Operation:
    fused = _combined(producer, op)
    assert fused is not None
    said = op.line == producer.line or producer.comment.endswith(op.comment)
    comment = producer.comment if said else f"{producer.comment} -> {op.comment}"
    source = producer.writes[0]
    others = tuple(t for t in op.reads if t != source)
    return replace(producer, reads=(*producer.reads, *others), writes=op.writes, fused=fused, comment=comment)
