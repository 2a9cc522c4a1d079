"""The third stage: what has to be computed, as operations on tensors, without saying how.

A `Graph` has up to three steps. `predict` runs the network and computes its loss; `gradients` runs it in training mode
and then backward; `train` also updates the parameters. Each step is a sequence of phases:

    predict     forward, loss
    gradients   forward (with the loss), backward
    train       forward (with the loss), backward, update
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dslc.ir import Network
from dslc.operation import GRADIENT, INPUT, OUTPUT, PARAMETER, ROLES, STATE, TARGET, Operation, Tensor


@dataclass(frozen=True)
class Phase:
    """Operations in the order in which they run; each phase becomes one C function."""

    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Step:
    """What one call of the compiled network does: predict, gradients or train."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def operations(self) -> Iterator[Operation]:
        """The operations of all phases in order."""
        for phase in self.phases:
            yield from phase.operations

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor once, in the order of first use."""
        return tuple(dict.fromkeys(t for op in self.operations for t in (*op.reads, *op.writes)))


@dataclass(frozen=True)
class Graph:
    """The operations of a network; `gradients` and `train` are None where the file has no `train`."""

    network: Network
    predict: Step
    gradients: Step | None = None
    train: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that this network has."""
        return tuple(step for step in (self.predict, self.gradients, self.train) if step is not None)

    def map(self, change: Callable[[Step], Step]) -> Graph:
        """The graph with every step changed."""
        predict, *others = (change(step) for step in self.steps)
        return Graph(self.network, predict, *others)

    def verify(self) -> None:
        """Asserts that nothing is read before it is written, that activations are written once, and that names are
        unique."""
        for step in self.steps:
            written: set[Tensor] = set()
            by_name: dict[str, Tensor] = {}
            op_names = [op.name for op in step.operations]
            assert len(set(op_names)) == len(op_names), [n for n in op_names if op_names.count(n) > 1]
            for op in step.operations:
                for tensor in (*op.reads, *op.writes):
                    assert tensor.role in ROLES and by_name.setdefault(tensor.name, tensor) == tensor, tensor.name
                for tensor in op.reads:
                    given = tensor.role in (INPUT, TARGET, PARAMETER, STATE)
                    assert given or tensor in written, f"{op.name} reads {tensor.name} before it is written"
                for tensor in op.writes:
                    again = tensor.role in (PARAMETER, STATE, GRADIENT, OUTPUT)
                    assert again or tensor not in written, f"{tensor.name} is written twice"
                    written.add(tensor)
