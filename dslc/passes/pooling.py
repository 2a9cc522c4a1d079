"""Fuses 2x2 max pooling into the convolution before it, which saves a pass over memory.

y = conv(x); z = maxpool(y)   becomes   z = conv(x) with the maximum of each window

Only where nothing else reads y: in training the backward pass needs all pixels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.layers._pooling import PoolDetail
from dslc.operation import ACTIVATION, Operation


def fuse_pooling(graph: Graph) -> Graph:
    """Fuses max pooling over 2x2 windows into the convolutions before it."""
    return graph.map(_pool_step)


def _pool_step(step: Step) -> Step:
    readers = Counter(t.name for op in step.operations for t in op.reads)
    alone = {name for name, count in readers.items() if count == 1}
    return replace(step, phases=tuple(_pool_phase(phase, alone) for phase in step.phases))


def _pool_phase(phase: Phase, alone: set[str]) -> Phase:
    squares = [op for op in phase.operations if _of_squares(op)]
    pooled = {op.reads[0].name: op for op in squares if op.reads[0].role == ACTIVATION and op.reads[0].name in alone}
    if not pooled:
        return phase
    makers = [op for op in phase.operations if any(t.name in pooled for t in op.writes) and kernels.pools(op)]
    pools = {op: pooled[t.name] for op in makers for t in op.writes if t.name in pooled}
    gone = set(pools.values())
    made = [_pooled(op, pools[op]) if op in pools else op for op in phase.operations if op not in gone]
    return replace(phase, operations=tuple(made))


def _of_squares(op: Operation) -> bool:
    """Whether this is max pooling over 2x2 windows with stride 2, without padding or epilogue."""
    d = op.detail
    return (
        op.kind == "maxpool"
        and op.fused is None
        and isinstance(d, PoolDetail)
        and (d.size, d.stride, d.before) == ((2, 2), (2, 2), (0, 0))
        and d.output[:2] == (d.input[0] // 2, d.input[1] // 2)
    )


def _pooled(op: Operation, pool: Operation) -> Operation:
    comment = op.comment if op.line == pool.line else f"{op.comment} -> {pool.comment}"
    return replace(op, writes=pool.writes, pooled=True, comment=comment)
