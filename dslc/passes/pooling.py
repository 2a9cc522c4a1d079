"""Lets a convolution store the largest of each 2x2 pixels, and saves a pass through memory.

y = conv(x); z = maxpool(y)   becomes   z = conv(x) with the largest of each window

Only where y is needed for nothing else: in training the way back goes through all pixels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.layers._pooling import PoolDetail
from dslc.operation import ACTIVATION, Operation, Tensor


def pool_at_once(graph: Graph) -> Graph:
    """The graph with windows of 2x2 pixels put into the convolutions before them."""
    return graph.map(_pool_step)


def _pool_step(step: Step) -> Step:
    readers = Counter(t for op in step.operations for t in op.reads)
    alone = {t for t, count in readers.items() if t.role == ACTIVATION and count == 1}
    return replace(step, phases=tuple(_pool_phase(phase, alone) for phase in step.phases))


def _pool_phase(phase: Phase, alone: set[Tensor]) -> Phase:
    makers = {t: op for op in phase.operations for t in op.writes if t in alone and kernels.pools(op)}
    pools = {makers[op.reads[0]]: op for op in phase.operations if _of_squares(op) and op.reads[0] in makers}
    made = [_pooled(op, pools[op]) if op in pools else op for op in phase.operations if op not in pools.values()]
    return replace(phase, operations=tuple(made))


def _of_squares(op: Operation) -> bool:
    """The largest of each 2x2 pixels, and nothing else."""
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
