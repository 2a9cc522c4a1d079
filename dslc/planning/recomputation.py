"""Chooses what is computed again for `memory low` or `memory 500MB`.

The forward pass is cut into segments, of which only what crosses a cut is kept; several sizes of segments are tried,
and where memory is still highest, activations are computed again for each of their uses. Candidates are compared by the
bytes of live activations and the estimated time, and the plan that is taken tells its bytes exactly. Weights are not
prepacked for prediction then: that takes memory too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Protocol

from dslc import kernels
from dslc.graph import Graph, Step
from dslc.ir import MemoryLimit
from dslc.kernels import Setting
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.operation import ACTIVATION, Operation, Tensor
from dslc.passes.recompute import NOTHING, Again, ParameterGone, droppable, recompute, recomputed, separable
from dslc.plan import Plan, Recomputation

SHARES = (0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03)
"""Sizes of segments that are tried, as shares of all that could be dropped."""
MOST_TIME = 1.0
"""The most time for what is computed again, as a share of the forward pass: a third of a step."""
STARTS, ROUNDS, TRIED, WORTH = 2, 16, 4, 0.99
"""From how many segmentations the highest use of memory is lowered, how often, how many activations are tried for it,
and the share of it that must not be exceeded."""
PLANNED = 8
"""Up to how many candidates are planned until one fits."""


@record
class TooLittleMemory(Diagnostic):
    """A limit of memory that no recomputation reaches: `memory 1MB`."""

    limit: int
    least: int

    @property
    def title(self) -> str:
        """Both numbers."""
        return f"training cannot do with {self.limit:,} bytes of memory"

    @property
    def notes(self) -> tuple[str, ...]:
        """What can be reached."""
        return (f"help: the least is {self.least:,} bytes at this batch; a smaller batch takes less",)


@dataclass(frozen=True)
class Candidate:
    """What could be computed again: the bytes of activations at the worst moment, and the time it takes, both
    estimated. `worst` is what runs at that moment; `unused`: the activations that lie there and that it does not touch,
    the largest first."""

    again: Again
    bytes: int
    worst: Operation
    unused: tuple[Tensor, ...]
    cost: float


class Planned(Protocol):
    """What plans a graph as it is, with or without weights prepacked for prediction."""

    def __call__(self, graph: Graph, prepack: bool = True) -> Plan:
        """The plan."""


def plan_in_memory(graph: Graph, setting: Setting, limit: MemoryLimit, plan_of: Planned) -> Plan:
    """The plan of a graph whose training takes as little memory as it can, or no more than the limit in the least time.

    Raises:
        SpecError: the limit cannot be reached.
    """
    whole = plan_of(graph)
    if graph.train is None or (limit.bytes is not None and whole.arena_bytes(True) <= limit.bytes):
        return whole
    least = whole
    for candidate in _in_order(_Search(graph.train, setting).candidates(), limit):
        plan = plan_of(recompute(graph, candidate.again), prepack=False)
        plan = replace(plan, recomputation=_described(graph.train, candidate.again, whole))
        if plan.arena_bytes(True) < least.arena_bytes(True):
            least = plan
        if limit.bytes is not None and plan.arena_bytes(True) <= limit.bytes:
            return plan
    if limit.bytes is not None:
        raise SpecError([TooLittleMemory(limit.span, limit.bytes, least.arena_bytes(True))])
    return least


def _in_order(candidates: list[Candidate], limit: MemoryLimit) -> list[Candidate]:
    """Those of which none is better in both respects: by bytes, the least first, where as few as possible are wanted,
    else by time, ending with the least."""
    best: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.bytes, c.cost)):
        if not best or candidate.cost < best[-1].cost:
            best.append(candidate)
    if limit.bytes is None:
        return best[:2]
    step = -(-len(best) // PLANNED)
    return best[::step][::-1]


def _described(step: Step, again: Again, whole: Plan) -> Recomputation:
    """The runs of operations that are computed again, by the first and last of their results."""
    segments: list[tuple[str, str]] = []
    run: list[str] = []
    makers = {op.name: t.name for t, op in droppable(step).items() if t.name in again.dropped}
    for phase in step.phases:
        for op in phase.operations if phase.name == "forward" else ():
            if op.name in makers:
                run.append(makers[op.name].removesuffix("_out"))
            elif run and any(t.batched and t.role == ACTIVATION for t in op.writes):
                segments.append((run[0], run[-1]))
                run = []
    if run:
        segments.append((run[0], run[-1]))
    return Recomputation(tuple(segments), whole.bytes("activations"), whole.arena_bytes(True))


class _Search:
    """What could be computed again in a step of training."""

    def __init__(self, step: Step, setting: Setting) -> None:
        self.step, self.setting = step, setting
        self.makers = droppable(step)
        self.forward = next(phase for phase in step.phases if phase.name == "forward").operations

    @cached_property
    def costs(self) -> dict[str, float]:
        """The estimated times of the operations of the forward pass in ns, by name."""
        return {op.name: self.cost(op) for op in self.forward}

    def cost(self, op: Operation) -> float:
        """The estimated time of an operation in ns."""
        return kernels.algorithms(op, self.setting).get(op.choice, 0.0) or max(
            self.setting.compute_cost(op, 0.5), self.setting.memory_cost(*op.reads, *op.writes)
        )

    def size(self, tensor: Tensor) -> int:
        """Bytes of an activation."""
        return self.setting.total(tensor) * self.setting.itemsize if tensor.role == ACTIVATION else 0

    def candidates(self) -> list[Candidate]:
        """All that was found."""
        total = sum(map(self.size, self.makers))
        tried = map(self.judged, dict.fromkeys((NOTHING, *(self._segmented(share * total) for share in SHARES))))
        segmented = sorted((found for found in tried if found is not None), key=lambda found: found.bytes)
        return [*segmented, *(found for start in segmented[:STARTS] for found in self._lowered(start))]

    def judged(self, again: Again) -> Candidate | None:
        """A candidate with its bytes and time; None if it takes too long or cannot be."""
        try:
            step = recomputed(self.step, again)
        except ParameterGone:
            return None
        cost = sum(self.costs[op.name.rpartition("_again")[0]] for op in step.operations if op.again)
        if cost > MOST_TIME * sum(self.costs.values()):
            return None
        return Candidate(again, *self._highest(step), cost)

    def _segmented(self, budget: float) -> Again:
        """All activations dropped but those that cross the end of a segment, and those of the last segment. A segment
        ends where least crosses, among the places at which it holds between half of the budget and all of it."""
        crossing = self._crossing()
        ends: list[int] = []
        held, best = 0.0, None
        for at, op in enumerate(self.forward):
            held += sum(self.size(t) for t in op.writes if t in self.makers)
            if held > budget and best is not None:
                ends.append(best)
                held, best = self._held(best + 1, at), None
            if held >= budget / 2 and (best is None or crossing[at] <= crossing[best]):
                best = at
        return Again(frozenset(t.name for t in self._inside(ends)))

    def _held(self, begin: int, end: int) -> float:
        return sum(self.size(t) for op in self.forward[begin : end + 1] for t in op.writes if t in self.makers)

    def _crossing(self) -> list[int]:
        """For each operation of the forward pass the bytes made up to it that others behind it in this pass read."""
        last = {t: at for at, op in enumerate(self.forward) for t in op.reads}
        live: set[Tensor] = set()
        found = []
        for at, op in enumerate(self.forward):
            live = {t for t in (*live, *op.writes) if last.get(t, -1) > at}
            found.append(sum(map(self.size, live)))
        return found

    def _inside(self, ends: list[int]) -> Iterator[Tensor]:
        """The activations that are read in their own segment only, without those of the last."""
        segment = [sum(end < at for end in ends) for at in range(len(self.forward))]
        places = {op.name: segment[at] for at, op in enumerate(self.forward)}
        readers: dict[Tensor, set[int]] = {}
        for at, op in enumerate(self.forward):
            for t in op.reads:
                readers.setdefault(t, set()).add(segment[at])
        for t, op in self.makers.items():
            own = places[op.name]
            if own < len(ends) and readers.get(t, set()) <= {own}:
                yield t

    def _lowered(self, start: Candidate) -> Iterator[Candidate]:
        """Candidates with less and less memory at the worst moment: what lies there unused is dropped, or computed
        again for each use."""
        now = start
        for _ in range(ROUNDS):
            tried = [found for again in self._steps_down(now) if (found := self.judged(again)) is not None]
            least = min(tried, key=lambda found: found.bytes, default=now)
            if least.bytes > WORTH * now.bytes:
                return
            now = least
            yield now

    def _steps_down(self, now: Candidate) -> Iterator[Again]:
        again, names = now.again, {t.name for t in self.makers}
        for tensor in now.unused[:TRIED]:
            name = tensor.name.rpartition("_again")[0] or tensor.name
            if name in names and name not in again.brief:
                brief = again.brief | ({name} if name in again.dropped else frozenset())
                yield replace(again, dropped=again.dropped | {name}, brief=brief)
        made = {t.name: op for op in self.step.operations for t in op.writes}
        for tensor in (*now.worst.writes, *now.unused[:TRIED]):
            op = made.get(tensor.name)
            if op is not None and op.reads and op.reads[-1].name in names and separable(op):
                other = {op.reads[-1].name}
                yield Again(again.dropped | other, again.brief | other, again.apart | {op.name})

    def _highest(self, step: Step) -> tuple[int, Operation, tuple[Tensor, ...]]:
        """The bytes of activations at the worst moment, the operation there, and those that it does not touch."""
        operations = list(step.operations)
        spans: dict[str, list[int]] = {}
        tensors: dict[str, Tensor] = {}
        for at, op in enumerate(operations):
            for t in (*op.reads, *op.writes):
                if t.role == ACTIVATION:
                    spans.setdefault(t.name, [at, at])[1] = at
                    tensors[t.name] = t
        change = [0] * (len(operations) + 1)
        for name, (first, last) in spans.items():
            size = self.size(tensors[name])
            change[first] += size
            change[last + 1] -= size
        live = list(accumulate(change))
        worst = max(range(len(operations)), key=live.__getitem__)
        touched = {t.name for t in (*operations[worst].reads, *operations[worst].writes)}
        there = (tensors[n] for n, (first, last) in spans.items() if first < worst < last and n not in touched)
        return live[worst], operations[worst], tuple(sorted(there, key=self.size, reverse=True))
