"""Recomputation: activations that the backward pass reads are not kept from the forward pass, but computed again where
they are wanted (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").

    y = conv1(x); z = conv2(y) | dW2 = dz y; dy = dz W2
    becomes   y = conv1(x); z = conv2(y) | y' = conv1(x); dW2 = dz y'; dy = dz W2

What is computed again has the same bits: the same kernels on the same numbers, and random numbers that are counted.
Statistics over a mini-batch are few numbers and are kept, so that running averages move once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dslc.graph import Graph, Phase, Step
from dslc.operation import ACTIVATION, GRADIENT, PARAMETER, Operation, Tensor

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Again:
    """The activations that are not kept, by name. Those that are `brief` are computed again for each operation that
    reads them, the others once."""

    dropped: frozenset[str] = frozenset()
    brief: frozenset[str] = frozenset()


NOTHING = Again()


class ParameterGone(Exception):
    """What is to be computed again depends on a parameter that may be updated before."""


def droppable(step: Step) -> dict[Tensor, Operation]:
    """The activations of the examples that the backward pass, and nothing behind it, reads from the forward pass, with
    the operations that make them, in their order."""
    read = {phase.name: {t for op in phase.operations for t in op.reads} for phase in step.phases}
    later = {t for name, tensors in read.items() if name not in (FORWARD, BACKWARD) for t in tensors}
    wanted = read[BACKWARD] - later
    return {
        t: op
        for op in _phase(step, FORWARD).operations
        if all(written.role == ACTIVATION for written in op.writes)
        for t in op.writes
        if t.batched and t in wanted
    }


def recompute(graph: Graph, again: Again) -> Graph:
    """Computes activations again in the backward pass of both steps that have one.

    Raises:
        ParameterGone: a parameter is needed behind its gradient.
    """
    if not again.dropped:
        return graph
    return graph.map(lambda step: step if step.name == "predict" else recomputed(step, again))


def recomputed(step: Step, again: Again) -> Step:
    """The same for one step. Raises ParameterGone."""
    makers = {t: op for op in _phase(step, FORWARD).operations for t in op.writes}
    backward = _Backward(again, makers)
    operations = tuple(done for op in _phase(step, BACKWARD).operations for done in backward.with_reads(op))
    phases = tuple(Phase(BACKWARD, operations) if phase.name == BACKWARD else phase for phase in step.phases)
    return replace(step, phases=phases)


def _phase(step: Step, name: str) -> Phase:
    return next(phase for phase in step.phases if phase.name == name)


class _Backward:
    """The walk along the backward pass: which activations are there, and under which names."""

    def __init__(self, again: Again, makers: dict[Tensor, Operation]) -> None:
        self.again, self.makers = again, makers
        self.there: dict[Tensor, Tensor] = {}
        self.passing: list[Tensor] = []
        self.times: Counter[str] = Counter()
        self.updated: set[str] = set()

    def with_reads(self, op: Operation) -> Iterator[Operation]:
        """The operation, behind those that compute again what it reads."""
        for tensor in op.reads:
            yield from self._made(tensor)
        yield self._reading(op)
        self.updated.update(t.name for t in op.writes if t.role == GRADIENT)
        while self.passing:
            del self.there[self.passing.pop()]

    def _made(self, tensor: Tensor) -> Iterator[Operation]:
        if tensor.name not in self.again.dropped or tensor in self.there:
            return
        op = self.makers[tensor]
        for needed in op.reads:
            yield from self._made(needed)
            if needed.role == PARAMETER and f"{needed.name}_grad" in self.updated:
                raise ParameterGone
        self.times[op.name] += 1
        again = self.times[op.name]
        names = {t: replace(t, name=f"{t.name}_again{again if again > 1 else ''}") for t in op.writes}
        self.there |= names
        self.passing += [t for t in op.writes if t.name in self.again.brief]
        name = f"{op.name}_again{again if again > 1 else ''}"
        yield replace(self._reading(op), name=name, writes=tuple(names.values()), again=again)

    def _reading(self, op: Operation) -> Operation:
        if not any(t in self.there for t in op.reads):
            return op
        return replace(op, reads=tuple(self.there.get(t, t) for t in op.reads))
