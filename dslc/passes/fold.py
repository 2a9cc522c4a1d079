"""Batch norm folding: at prediction batch norm is one scale and one shift per channel, which the weights of the layer
before it absorb.

y = gamma (x W + b - mean) / sqrt(var + eps) + beta   becomes   y = x W' + b'
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dslc.graph import Graph, Phase
from dslc.operation import ACTIVATION, Operation, Tensor

WEIGHTED = ("conv_forward", "dense_forward")


def fold_batchnorm(graph: Graph) -> Graph:
    """Folds every batch norm that directly follows a convolution or dense layer, at prediction only."""
    readers = Counter(t for op in graph.predict.operations for t in op.reads)
    phases = tuple(_fold_phase(phase, readers) for phase in graph.predict.phases)
    return replace(graph, predict=replace(graph.predict, phases=phases))


def _fold_phase(phase: Phase, readers: Counter[Tensor]) -> Phase:
    operations: list[Operation] = []
    for op in phase.operations:
        before = operations[-1] if operations else None
        if op.kind == "batchnorm_apply" and before is not None and _feeds(before, op, readers):
            operations[-1:] = _folded(before, op)
        else:
            operations.append(op)
    return replace(phase, operations=tuple(operations))


def _feeds(before: Operation, op: Operation, readers: Counter[Tensor]) -> bool:
    x = op.reads[0]
    return before.kind in WEIGHTED and before.writes == (x,) and x.role == ACTIVATION and readers[x] == 1


def _folded(before: Operation, op: Operation) -> tuple[Operation, Operation]:
    """The operation that computes the folded weights, and the layer that reads them. Weights that are folded already,
    because two batch norms follow each other, are folded once more, into others."""
    x, w, *bias = before.reads
    layer, norm = before.name.removesuffix("_forward"), op.name.removesuffix("_apply")
    name = f"{layer}_{norm}" if w.role == ACTIVATION else layer
    weights = replace(w, name=f"{name}_folded_weight", role=ACTIVATION)
    term = Tensor(f"{name}_folded_bias", op.reads[1].shape, batched=False)
    fold = Operation(
        "fold_batchnorm", f"{name}_fold", (w, *op.reads[1:], *bias), (weights, term), op.detail, op.comment, op.line
    )
    comment = before.comment if op.line == before.line else f"{before.comment} -> {op.comment}"
    return fold, replace(before, reads=(x, weights, term), writes=op.writes, comment=comment)
