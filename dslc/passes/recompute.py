"""Recomputation: activations that the backward pass reads are not kept from the forward pass, but computed again where
they are wanted (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").

    y = conv1(x); z = conv2(y) | dW2 = dz y; dy = dz W2
    becomes   y = conv1(x); z = conv2(y) | y' = conv1(x); dW2 = dz y'; dy = dz W2

What is computed again has the same bits: the same kernels on the same numbers, and random numbers that are counted.
Statistics over a mini-batch are few numbers and are kept, so that running averages move once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dslc import kernels
from dslc.graph import Graph, Phase, Step
from dslc.operation import ACTIVATION, GRADIENT, PARAMETER, Operation, Tensor

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Again:
    """The activations that are not kept, by name. Those that are `brief` are computed again for each operation that
    reads them, the others once. The operations `apart` have their epilogue in a pass of its own, over their
    result where it lies: what it reads need not be there before."""

    dropped: frozenset[str] = frozenset()
    brief: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()


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


def separable(op: Operation) -> bool:
    """Whether an epilogue has the same bits in a pass of its own: a product that nothing else rounds with, as the
    derivative of relu."""
    fused = op.fused
    if op.kind != "conv_input_gradient" or fused is None or not fused.needs_y or op.choice == "lanes":
        return False
    first, product, mask = fused.formula.code.partition("x * ")
    return not first and bool(product) and not re.search(r" [-+*/] ", mask)


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
    before = _phase(step, BACKWARD).operations
    backward = _Backward(again, makers, _delayed(before))
    operations = (*(done for op in before for done in backward.with_reads(op)), *backward.rest())
    phases = tuple(Phase(BACKWARD, operations) if phase.name == BACKWARD else phase for phase in step.phases)
    return replace(step, phases=phases)


def _phase(step: Step, name: str) -> Phase:
    return next(phase for phase in step.phases if phase.name == name)


def _delayed(operations: tuple[Operation, ...]) -> set[str]:
    """Gradients of inputs that can wait for those of the weights, so that they are not there at the same time as what
    these read: where the weights are updated later."""
    spent = {t.name for op in operations if kernels.updates(op) for t in op.writes}
    inputs = (op for op in operations if op.kind == "conv_input_gradient")
    return {op.name for op in inputs if not any(f"{t.name}_grad" in spent for t in op.reads)}


class _Backward:
    """The walk along the backward pass: which activations are there, and under which names. What is `delayed` runs as
    late as it can."""

    def __init__(self, again: Again, makers: dict[Tensor, Operation], delayed: set[str]) -> None:
        self.again, self.makers, self.delayed = again, makers, delayed
        self.there: dict[Tensor, Tensor] = {}
        self.passing: list[Tensor] = []
        self.times: Counter[str] = Counter()
        self.updated: set[str] = set()
        self.late: dict[Tensor, Operation] = {}

    def with_reads(self, op: Operation) -> Iterator[Operation]:
        """The operation, behind those that compute again what it reads."""
        if op.name in self.delayed:
            self.late[op.writes[0]] = op
            return
        yield from self._placed(op)

    def rest(self) -> Iterator[Operation]:
        """What was delayed and is read by nothing in this pass."""
        while self.late:
            yield from self._placed(self.late.pop(next(iter(self.late))))

    def _apart(self, op: Operation) -> Iterator[Operation]:
        """The operation without its epilogue, and the epilogue."""
        *reads, other = op.reads
        yield from self._placed(replace(op, reads=tuple(reads), fused=None))
        epilogue = Operation("apply_epilogue", f"{op.name}_epilogue", (*op.writes, other), op.writes, fused=op.fused)
        yield from self._placed(replace(epilogue, comment=op.comment, line=op.line))

    def _placed(self, op: Operation) -> Iterator[Operation]:
        for tensor in op.reads:
            if tensor in self.late:
                late = self.late.pop(tensor)
                yield from self._apart(late) if late.name in self.again.apart else self._placed(late)
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
