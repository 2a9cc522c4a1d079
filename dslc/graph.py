"""The third stage: what has to be computed, as operations on tensors, without a word on how.

A `Graph` has up to three steps. `predict` runs the network and judges its outputs; `gradients` runs it in training
mode and goes back; `train` updates as well. Each step is a row of phases that run one after the other:

    predict     forward, losses
    gradients   forward (with the loss), backward
    train       forward (with the loss), backward, update
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from dslc.ir import Network, Shape
from dslc.scalar import Scalar

INPUT, TARGET, OUTPUT = "input", "target", "output"
ACTIVATION, PARAMETER, GRADIENT, STATE = "activation", "parameter", "gradient", "state"
ROLES = (INPUT, TARGET, OUTPUT, ACTIVATION, PARAMETER, GRADIENT, STATE)


@dataclass(frozen=True)
class Tensor:
    """An array of one step. `shape` is that of one example if `batched`, else of the whole.

    `role`: input, target and output belong to the caller; parameter, gradient (of a parameter) and state (of the
    optimizer) live as long as the network; activation is everything in between.
    """

    name: str
    shape: Shape
    role: str = ACTIVATION
    batched: bool = True
    dtype: str = "real"

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Fused:
    """What is done to every element of an operation's result before it is stored: a formula in `x`, the element, and
    `y`, the element at the same place of the operation's last read, if the formula needs one."""

    formula: Scalar
    needs_y: bool = False


@dataclass(frozen=True)
class Operation:
    """One computation. `kind` is the file in `kernels/` that knows how; `detail` is what that kind needs to know.
    `choice` names one of several algorithms, once it is chosen. Of a result that is `pooled` only the largest of each
    2x2 pixels is stored."""

    kind: str
    name: str
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    detail: object = None
    comment: str = ""
    line: int = 0
    multiply_adds: int = 0
    fused: Fused | None = None
    choice: str = ""
    pooled: bool = False


@dataclass(frozen=True)
class Phase:
    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Step:
    name: str
    phases: tuple[Phase, ...]

    @property
    def operations(self) -> Iterator[Operation]:
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
        return tuple(step for step in (self.predict, self.gradients, self.train) if step is not None)

    def map(self, change: Callable[[Step], Step]) -> Graph:
        """The graph with every step changed."""
        predict, *others = (change(step) for step in self.steps)
        return Graph(self.network, predict, *others)

    def verify(self) -> None:
        """Nothing is read before it is written; an activation is written once; a name means one tensor."""
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
