"""Checks a plan against its graph, from the plan's data alone: it uses no code of the passes.

    buffers     each has room for its tensor with a full mini-batch, is aligned, and is inside the arena, together with
                what vector loads may read after its end
    kernels     they compute exactly the graph's operations, on tensors of the size and layout that they expect
    rows        in every row of phases, what a kernel reads was written before and not overwritten since
    barriers    between two barriers no thread touches what another writes

Memory is divided into cells: intervals inside of which no buffer begins or ends. Each array of the caller is a cell of
its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from dslc.graph import BEGIN, PREPACK, SMALL_BATCH
from dslc.graph import rows as rows_of
from dslc.numerics import Array, np
from dslc.operation import (
    ACTIVATION,
    GRADIENT,
    INPUT,
    OUTPUT,
    PARAMETER,
    STATE,
    TARGET,
    WEIGHTS,
    Operation,
    Tensor,
    identifier,
    state_name,
)
from dslc.plan import ALIGNMENT, Buffer, Kernel, Plan, PlannedPhase, PlannedStep, Region
from dslc.planning.kernel_checks import check_kernel
from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import numbers

CALLERS = (INPUT, TARGET, WEIGHTS, OUTPUT)
READ_ONLY = (INPUT, TARGET, WEIGHTS)
REGIONS = {PARAMETER: "parameters", STATE: "state"}


def verify_plan(plan: Plan) -> None:
    """Checks a whole plan.

    Raises:
        PlanError: the plan is wrong; the message says where.
    """
    _check_kept(plan)
    for step in plan.steps:
        _check_step(replace(plan, batch=step.batch), step)


def _check_step(plan: Plan, step: PlannedStep) -> None:
    """Checks a step of a plan for as many examples as it works on at a time."""
    _check_workspace(plan, step)
    _check_operations(plan, step)
    memory = _Memory(plan, step)
    for phase in step.phases:
        for kernel in phase.kernels:
            check_kernel(kernel, {t: memory.buffer(t) for t in _touched(kernel)}, plan)
            memory.check_arguments(kernel)
        _check_barriers(memory, phase)
    for row in rows_of(step.name, step.phases):
        _RowCheck(memory, _as_run(row)).check()
    _check_results(plan, step)


def _as_run(row: tuple[PlannedPhase, ...]) -> tuple[PlannedPhase, ...]:
    """A row of phases as it runs: for two slices where there are slices."""
    names = [phase.name for phase in row]
    if BEGIN not in names:
        return row
    loop = [phase for phase in row if phase.name in ("forward", "backward")]
    return (row[names.index(BEGIN)], *loop, *loop, *(p for p in row if p.name not in (BEGIN, "forward", "backward")))


def _touched(kernel: Kernel) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys((*kernel.operation.reads, *kernel.operation.writes)))


# ------------------------------------------------------------------------------------------------ buffers


def _check_kept(plan: Plan) -> None:
    """Buffers that live as long as the network share memory with nothing; gradients and states match parameters."""
    for name, buffer in plan.kept.items():
        _check_buffer(plan, name, buffer)
        if region := REGIONS.get(buffer.tensor.role):
            _check_inside(buffer, plan.region(region))
    ends = sorted((b.offset, b.offset + b.elements, name) for name, b in plan.kept.items())
    for (_, end, name), (start, _, other) in pairwise(ends):
        require(end <= start, f"{name} and {other} are kept in the same memory")
    _check_same_layout(plan)
    prepares = any(phase.name == PREPACK for phase in plan.steps[0].phases)
    require(prepares == ("prepared" in plan.kept), "a plan has a `prepared` flag if and only if it has prepacking")


def _check_same_layout(plan: Plan) -> None:
    """A parameter's gradient and optimizer states have the parameter's layout."""
    training = plan.graph.network.training
    states = training.optimizer.states if training else ()
    users = plan.graph.network.users
    for parameter in plan.graph.network.parameters:
        own = identifier(parameter.name)
        parts = (f"{own}_slice_grad", *(f"{own}_grad_at_{node}" for node in users[parameter.name]))
        for step in plan.steps:
            for part in (name for name in parts if name in step.workspace):
                alike = step.workspace[part].layout == plan.kept[own].layout
                require(alike, f"{part} has another layout than {own}")
        for name in (f"{own}_grad", f"{own}_average", *(state_name(parameter.name, state) for state in states)):
            if name in plan.kept:
                alike = plan.kept[name].layout == plan.kept[own].layout
                require(alike, f"{name} has another layout than {own}")


def _check_workspace(plan: Plan, step: PlannedStep) -> None:
    region = plan.region("prediction" if step.name == "predict" else "activations")
    kept = sorted((b.offset, b.offset + b.elements, name) for name, b in plan.kept.items())
    starts = [start for start, _, _ in kept]
    if step.name == "train":
        gradients = {t.name for kernel in step.kernels for t in _touched(kernel) if t.role == GRADIENT}
        for name in gradients & plan.kept.keys():
            _check_inside(plan.kept[name], plan.region("gradients"))
    for name, buffer in step.workspace.items():
        _check_buffer(plan, name, buffer)
        _check_inside(buffer, region)
        require(buffer.tensor.role == ACTIVATION, f"{name} is in the workspace of {step.name} but is not an activation")
        at = bisect_left(starts, buffer.offset + buffer.elements)
        before = kept[at - 1] if at else (0, 0, "")
        require(before[1] <= buffer.offset, f"{name} of {step.name} overlaps {before[2]}, which is kept")


def _check_buffer(plan: Plan, name: str, buffer: Buffer) -> None:
    """It has room for a full mini-batch, and a vector load that starts at its last number stays inside the smallest
    arena that contains it."""
    require(buffer.layout.shape == buffer.tensor.shape, f"the layout of {name} is for another shape")
    needed = numbers(buffer, plan.batch)
    require(needed <= buffer.elements, f"{name} takes {needed} numbers and has room for {buffer.elements}")
    require(buffer.offset >= 0, f"{name} begins before the arena")
    require(buffer.offset * plan.itemsize % ALIGNMENT == 0, f"{name} is not aligned: its offset is {buffer.offset}")
    arenas = (plan.arena_bytes(False), plan.arena_bytes(True), plan.arena_bytes(True, gradients=True))
    end = (buffer.offset + needed) * plan.itemsize
    whole = next((arena for arena in arenas if end + ALIGNMENT <= arena), arenas[-1])
    overhang = (plan.target.lanes(plan.itemsize) - 1) * plan.itemsize
    require(end + overhang <= whole, f"the last vector of {name} reaches beyond the arena")


def _check_inside(buffer: Buffer, region: Region) -> None:
    inside = region.offset <= buffer.offset and buffer.offset + buffer.elements <= region.offset + region.elements
    require(inside, f"{buffer.tensor.name} is outside of the {region.name}")


# ------------------------------------------------------------------------------------------------ operations


def _check_operations(plan: Plan, step: PlannedStep) -> None:
    """The kernels of each phase are the graph's operations in any order, with workspace added."""
    graph = next(s for s in plan.graph.steps if s.name == step.name)
    wanted = {phase.name: sorted(phase.operations, key=lambda op: op.name) for phase in graph.phases}
    require(wanted.keys() == {phase.name for phase in step.phases}, f"the phases of {step.name} are not its graph's")
    for phase in step.phases:
        found = sorted(map(_without_scratch, phase.kernels), key=lambda op: op.name)
        names, others = {op.name for op in wanted[phase.name]}, {op.name for op in found}
        require(names <= others, f"{step.name} {phase.name} leaves out {', '.join(sorted(names - others))}")
        require(found == wanted[phase.name], f"the operations of {step.name} {phase.name} are not its graph's")


def _without_scratch(kernel: Kernel) -> Operation:
    op = kernel.operation
    return replace(op, writes=op.writes[: len(op.writes) - len(kernel.variant.scratch)])


def _check_results(plan: Plan, step: PlannedStep) -> None:
    """The results that the caller gets are written: outputs, the loss, gradients, parameters."""
    network = plan.graph.network
    learning = [identifier(p.name) for p in network.parameters if p.learns]
    averages = [f"{identifier(p.name)}_average" for p in network.parameters if network.averages(p)]
    results = {
        "predict": {"forward": [f"{head.name}_output" for head in network.answers]},
        "gradients": {"forward": ["loss"], "backward": [f"{name}_grad" for name in learning]},
        "train": {"forward": ["loss"], "update": [*learning, *averages]},
    }[step.name]
    if any(phase.name == SMALL_BATCH for phase in step.phases):
        results = {**results, SMALL_BATCH: results["forward"]}
    for phase, names in results.items():
        row = next(row for row in rows_of(step.name, step.phases) if any(p.name == phase for p in row))
        written = {t.name for p in row for k in p.kernels for t in k.operation.writes}
        missing = [name for name in names if name not in written]
        require(not missing, f"{step.name} does not write {', '.join(missing)} by the end of the phase {phase}")


# ------------------------------------------------------------------------------------------------ memory


class _Memory:
    """The memory of a step, divided into cells. Arrays in the arena are located by their buffers, an alias by the
    buffer of the tensor that it shares; arrays of the caller are told apart by name."""

    def __init__(self, plan: Plan, step: PlannedStep) -> None:
        self.plan, self.step = plan, step
        self.roots = _roots(step)
        buffers = [*plan.kept.values(), *step.workspace.values()]
        places = np.array([(b.offset, b.offset + numbers(b, plan.batch)) for b in buffers], np.int64).reshape(-1, 2)
        edges = np.unique(places)
        names = (*plan.kept, *step.workspace)
        cells = np.searchsorted(edges, places).tolist()
        self.cells = {name: slice(begin, end) for name, (begin, end) in zip(names, cells, strict=True)}
        callers = dict.fromkeys(t.name for k in step.kernels for t in _touched(k) if t.role in CALLERS)
        for i, name in enumerate(callers, len(edges)):
            self.cells[name] = slice(i, i + 1)
        self.count = len(edges) + len(callers)
        self.numbers = {name: i for i, name in enumerate(self.cells)}
        for name, buffer in step.workspace.items():
            self._check_alias(name, buffer)

    def _check_alias(self, name: str, buffer: Buffer) -> None:
        root = self.roots.get(name)
        require(buffer.alias == root, f"{name} is marked as an alias of {buffer.alias} but is one of {root}")
        if root is not None:
            shared = self.step.workspace.get(root) or self.plan.kept.get(root)
            same = shared is not None and shared.offset == buffer.offset and shared.elements == buffer.elements
            require(same, f"{name} is an alias of {root} but is stored elsewhere")

    def buffer(self, tensor: Tensor) -> Buffer | None:
        """The tensor's buffer; None for an array of the caller."""
        if tensor.role in CALLERS:
            return None
        found = self.step.workspace.get(tensor.name) or self.plan.kept.get(tensor.name)
        require(found is not None, f"{tensor.name} of {self.step.name} has no buffer")
        assert found is not None
        require(found.tensor == tensor, f"the buffer of {tensor.name} is for another tensor")
        return found

    def root(self, tensor: Tensor) -> str:
        """The name of the array that holds a tensor: its own, or that of the tensor whose alias it is."""
        return self.roots.get(tensor.name, tensor.name)

    def where(self, tensor: Tensor) -> slice:
        """The cells of a tensor."""
        return self.cells[tensor.name]

    def check_arguments(self, kernel: Kernel) -> None:
        """What a kernel writes does not overlap its other arguments, as `restrict` promises in C."""
        if kernel.variant.is_alias:
            return
        arguments = {t: self.where(t) for t in _touched(kernel)}
        for written in kernel.operation.writes:
            for other, cells in arguments.items():
                apart = (
                    other == written or cells.stop <= arguments[written].start or arguments[written].stop <= cells.start
                )
                require(apart, f"{kernel.operation.name} writes {written.name}, which overlaps with {other.name}")


def _roots(step: PlannedStep) -> dict[str, str]:
    """For each alias, the tensor whose memory it shares, according to the kernels."""
    roots: dict[str, str] = {}
    for kernel in step.kernels:
        if kernel.variant.is_alias:
            source = kernel.operation.reads[0].name
            roots[kernel.operation.writes[0].name] = roots.get(source, source)
    return roots


# ------------------------------------------------------------------------------------------------ rows


class _RowCheck:
    """Runs one row of phases symbolically, from a state in which only parameters and optimizer state are defined. Each
    cell has an owner: the array that was last written there."""

    def __init__(self, memory: _Memory, row: tuple[PlannedPhase, ...]) -> None:
        self.memory, self.row = memory, row
        self.owner: Array = np.full(memory.count, -1, np.int64)
        self.made: set[str] = set()
        self.updated: set[str] = set()
        given = [(name, b.tensor) for name, b in memory.plan.kept.items() if b.tensor.role in (PARAMETER, STATE)]
        for name, _ in given:
            self._write(name, memory.cells[name])

    def check(self) -> None:
        prepared: list[Tensor] = []
        for phase in self.row:
            for kernel in phase.kernels:
                self._run(kernel, phase)
            if phase.name == PREPACK:
                prepared = [t for k in phase.kernels for t in k.operation.writes]
        for tensor in prepared:
            require(
                self._is_intact(tensor),
                f"{self._at(self.row[-1])} overwrites {tensor.name}, which is prepared once for many calls",
            )

    def _run(self, kernel: Kernel, phase: PlannedPhase) -> None:
        name = kernel.operation.name
        for tensor in kernel.operation.reads:
            self._check_read(name, tensor, kernel, phase)
        for tensor in kernel.operation.writes:
            require(tensor.role not in READ_ONLY, f"{name} writes {tensor.name}, which is read-only")
            if not kernel.variant.is_alias:
                self._write(tensor.name, self.memory.where(tensor))
            self.made.add(tensor.name)
            if tensor.role == PARAMETER:
                self.updated.add(tensor.name)

    def _check_read(self, name: str, tensor: Tensor, kernel: Kernel, phase: PlannedPhase) -> None:
        what = f"{name} in {self._at(phase)} reads {tensor.name}"
        if tensor.role in READ_ONLY:
            require(_is_given(self.memory.step.name, phase.name, tensor), f"{what}, which is not passed to it")
            return
        kept = tensor.role in (PARAMETER, STATE)
        require(kept or tensor.name in self.made, f"{what}, which was not written before")
        require(self._is_intact(tensor), f"{what}, which was overwritten")
        renewed = tensor.name in self.updated and tensor not in kernel.operation.writes
        if kernel.operation.kind == "average" and tensor == kernel.operation.reads[0]:
            require(renewed, f"{what}, which was not updated yet")
        elif kernel.operation.kind != "batchnorm_over_ranks":  # any mean will do there, moved by a slice or not
            require(not renewed, f"{what}, which was already updated")

    def _is_intact(self, tensor: Tensor) -> bool:
        """Whether the tensor still owns all of its cells."""
        return bool((self.owner[self.memory.where(tensor)] == self.memory.numbers[self.memory.root(tensor)]).all())

    def _write(self, name: str, cells: slice) -> None:
        self.owner[cells] = self.memory.numbers[name]

    def _at(self, phase: PlannedPhase) -> str:
        return f"{self.memory.step.name} {phase.name}"


def _is_given(step: str, phase: str, tensor: Tensor) -> bool:
    """Whether the caller passes an input or target to a phase: prepacking has no examples, prediction no targets."""
    if phase == PREPACK:
        return False
    return tensor.role == INPUT or step != "predict" or phase == "losses"


# ------------------------------------------------------------------------------------------------ barriers

ALONE_READS, ALL_READ, ALONE_WRITES, ALL_WRITE = 1, 2, 4, 8
"""Accesses to a cell since the last barrier, by the first thread alone or by all threads of a shared kernel."""


def _check_barriers(memory: _Memory, phase: PlannedPhase) -> None:
    """Of two kernels without a barrier between them neither writes what the other touches, unless the first thread runs
    both; and each phase ends with a barrier."""
    since: Array = np.zeros(memory.count, np.int64)
    running = [kernel for kernel in phase.kernels if not kernel.variant.is_alias]
    for kernel in running:
        reads, writes = (ALL_READ, ALL_WRITE) if kernel.parallel else (ALONE_READS, ALONE_WRITES)
        others = ALL_WRITE | (ALONE_WRITES if kernel.parallel else 0)
        readers = ALL_READ | (ALONE_READS if kernel.parallel else 0)
        op = kernel.operation
        _check_apart(memory, since, op.name, op.reads, others)
        _check_apart(memory, since, op.name, op.writes, others | readers)
        for tensors, mark in ((op.reads, reads), (op.writes, writes)):
            for tensor in tensors:
                since[memory.where(tensor)] |= mark
        if kernel.barrier:
            since[:] = 0
    at = f"{memory.step.name} {phase.name}"
    require(not running or running[-1].barrier, f"there is no barrier at the end of {at}")


def _check_apart(memory: _Memory, since: Array, name: str, tensors: Iterable[Tensor], marks: int) -> None:
    for tensor in tensors:
        touched = bool((since[memory.where(tensor)] & marks).any())
        require(not touched, f"{name} of {memory.step.name} accesses {tensor.name} too early: a barrier is missing")
