"""The third stage: what has to be computed, as operations on tensors, without saying how.

A `Graph` has up to three steps. `predict` runs the network and computes its loss; `gradients` runs it in training mode
and then backward; `train` also updates the parameters. Each step is a sequence of phases:

    predict     forward, losses
    gradients   forward (with the loss), backward
    train       forward (with the loss), backward, update

With `on_nan skip` or `halve_lr` the phase `check` stands between backward and update. Where a mini-batch is worked
through in slices, whose gradients are accumulated, it is

    gradients   begin, (forward, backward) for each slice, finish
    train       begin, (forward, backward) for each slice, update

Planning adds phases to `predict`; `ROWS` says which phases run before which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from dslc.ir import Network
from dslc.operation import GRADIENT, INPUT, OUTPUT, PARAMETER, ROLES, STATE, TARGET, WEIGHTS, Operation, Tensor

PREPACK, SMALL_BATCH = "prepack", "small_batch"
"""Phases of `predict` that planning adds: what depends on parameters alone, and the network for few examples."""
CHECK = "check"
"""A phase of `train` that makes the loss NaN where a gradient is not to be followed."""
BEGIN, FINISH = "begin", "finish"
"""Phases for a whole mini-batch that is worked through in slices. What `begin` makes serves all slices."""
ROWS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "predict": ((PREPACK, "forward", "losses"), (PREPACK, SMALL_BATCH)),
    "gradients": ((BEGIN, "forward", "backward", FINISH),),
    "train": ((BEGIN, "forward", "backward", CHECK, "update"),),
}
"""The rows of phases of each step: a call runs one row from its beginning, perhaps not to its end, and a phase finds
what those before it in its row have left. Phases of different rows are alternatives, of which neither finds what the
other makes. What `prepack` makes serves many calls: it is found by any phase, and no phase may spoil it."""


class Named(Protocol):
    """A phase, planned or not."""

    @property
    def name(self) -> str:
        """Its name in `ROWS`."""


P = TypeVar("P", bound=Named)


def rows(step: str, phases: Sequence[P]) -> tuple[tuple[P, ...], ...]:
    """The phases of a step, planned or not, in their rows; rows of phases that it has not are left out.

    Raises:
        KeyError: no row has a phase of this name.
    """
    by_name = {phase.name: phase for phase in phases}
    if unknown := by_name.keys() - {name for row in ROWS[step] for name in row}:
        raise KeyError(f"{step} has no phase {', '.join(sorted(unknown))}")
    found = (tuple(by_name[name] for name in row if name in by_name) for row in ROWS[step])
    return tuple(row for row in found if row)


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
        return tuple({t.name: t for op in self.operations for t in (*op.reads, *op.writes)}.values())

    @property
    def rows(self) -> tuple[tuple[Phase, ...], ...]:
        """The phases in the rows in which they run."""
        return rows(self.name, self.phases)

    def before(self, name: str) -> tuple[Phase, ...]:
        """The phases that have always run when the phase of this name does."""
        row = next(row for row in self.rows if any(phase.name == name for phase in row))
        return row[: [phase.name for phase in row].index(name)]


@dataclass(frozen=True)
class Graph:
    """The operations of a network; `gradients` and `train` are None where the file has no `train`. `over_ranks`:
    `train` works on a rank's part of a mini-batch. `sliced`: both work through it in slices."""

    network: Network
    predict: Step
    gradients: Step | None = None
    train: Step | None = None
    over_ranks: bool = False
    sliced: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that this network has."""
        return tuple(step for step in (self.predict, self.gradients, self.train) if step is not None)

    def map(self, change: Callable[[Step], Step]) -> Graph:
        """The graph with every step changed."""
        predict = change(self.predict)
        gradients = None if self.gradients is None else change(self.gradients)
        train = None if self.train is None else change(self.train)
        return replace(self, predict=predict, gradients=gradients, train=train)

    def verify(self) -> None:
        """In every row of phases nothing is read before it is written and an activation is written once; in all of a
        step a name means one tensor, and one operation, which only alternatives may both have."""
        for step in self.steps:
            _verify_names(step)
            for row in step.rows:
                _verify_row(row)


def _verify_names(step: Step) -> None:
    tensors: dict[str, Tensor] = {}
    operations: dict[str, Operation] = {}
    for op in step.operations:
        other = operations.setdefault(op.name, op)
        same = other is op or replace(op, comment=other.comment, line=other.line) == other
        assert same, f"{step.name}: two operations are called {op.name}"
        for tensor in (*op.reads, *op.writes):
            assert tensor.role in ROLES, f"{tensor.name} has the role {tensor.role}"
            assert tensors.setdefault(tensor.name, tensor) == tensor, f"two tensors are called {tensor.name}"


def _verify_row(row: tuple[Phase, ...]) -> None:
    written: set[Tensor] = set()
    done: set[str] = set()
    for phase in row:
        given = (PARAMETER,) if phase.name == PREPACK else (INPUT, TARGET, WEIGHTS, PARAMETER, STATE)
        for op in phase.operations:
            assert op.name not in done, f"{op.name} is done twice"
            done.add(op.name)
            for tensor in op.reads:
                there = tensor.role in given or tensor in written
                assert there, f"{op.name} in {phase.name} reads {tensor.name} before it is written"
            for tensor in op.writes:
                again = tensor.role in (PARAMETER, STATE, GRADIENT, OUTPUT)
                assert again or tensor not in written, f"{tensor.name} is written twice"
                written.add(tensor)
