"""Buckets: sums over ranks begin while the backward pass goes on.

    dW3, dW2, dW1; wait for the sums of dW1, dW2, dW3
    becomes   dW3, dW2; begin the sum of (dW3, dW2); dW1; begin the sum of dW1; wait

A bucket has gradients that are ready one after the other and lie so in the arena, so that its sum is one message. In
slices sums begin in the backward pass of the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dslc.graph import Graph, Phase
from dslc.lowering.details import SlicesOfRank
from dslc.operation import GRADIENT, Operation, Tensor

BUCKET_NUMBERS = 1 << 20
"""A sum begins as soon as so many numbers are ready: far more than the latency of a message costs, and few enough that
several are on their way in a large network."""


def sum_in_buckets(graph: Graph, numbers: int = BUCKET_NUMBERS) -> Graph:
    """Begins the sums that the update waits for, each when its bucket is full; the last behind the backward pass."""
    if graph.train is None or not graph.over_ranks:
        return graph
    detail = SlicesOfRank() if graph.sliced else None
    phases = tuple(
        _filled(phase, numbers, detail) if phase.name == "backward" else phase for phase in graph.train.phases
    )
    return replace(graph, train=replace(graph.train, phases=phases))


def bucketed(graph: Graph) -> Iterator[Tensor]:
    """The gradients of all buckets, in the order in which they are to lie in the arena."""
    for op in graph.train.operations if graph.train is not None else ():
        if op.kind == "begin_sum":
            yield from op.reads


def _filled(phase: Phase, numbers: int, detail: SlicesOfRank | None) -> Phase:
    touched = {t: i for i, op in enumerate(phase.operations) for t in (*op.reads, *op.writes) if t.role == GRADIENT}
    done: list[Operation] = []
    bucket: list[Tensor] = []
    begun = 0
    for i, op in enumerate(phase.operations):
        done.append(op)
        bucket += [t for t, last in touched.items() if last == i]
        full = sum(t.elements for t in bucket) >= numbers or i == len(phase.operations) - 1
        if bucket and full:
            begun += 1
            reads = tuple(bucket)
            done.append(Operation("begin_sum", f"begin_sum{begun}", reads, reads, detail, "the gradients of all ranks"))
            bucket = []
    return replace(phase, operations=tuple(done))
