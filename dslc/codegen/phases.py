"""Phases as functions of C: calls of kernels in a row, cut at barriers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil

from dslc.codegen.functions import RUNTIME_PARAMETERS, Function, Functions, tensors_of
from dslc.codegen.names import PHASES, Names, is_callers
from dslc.operation import WEIGHTS, Tensor
from dslc.plan import Kernel, Plan, PlannedPhase, PlannedStep

COUNTS = ("n", "earlier", "total_weight")
"""What a phase is told of the examples where a kernel of it asks: how many it works on, how many were in the slices
before, and their weights' sum."""


@dataclass(frozen=True)
class CallGroup:
    """Calls in a row: shared by all threads, or several of the first thread alone; then perhaps a barrier."""

    shared: bool
    calls: tuple[str, ...]
    barrier: bool


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function that every thread calls with its own `part`."""

    name: str
    comment: str
    parameters: tuple[str, ...]
    groups: tuple[CallGroup, ...]

    @property
    def code(self) -> tuple[object, ...]:
        """All but the name: the forward phases of `gradients` and `train` are mostly one and the same."""
        return self.parameters, self.groups

    @property
    def uses_arena(self) -> bool:
        """A network without memory of its own, such as a single activation, uses only the caller's arrays."""
        return any("at + " in call for group in self.groups for call in group.calls)


def phase_functions(plan: Plan, names: Names, functions: Functions) -> dict[str, PhaseFunction]:
    """All phases by step and name; one of `gradients` that is the same as that of `train` is that one."""
    phases = {
        f"{step.name}_{phase.name}": _phase(step, phase, names, functions)
        for step in plan.steps
        for phase in step.phases
    }
    for name in phases.keys() & {"gradients_begin", "gradients_forward", "gradients_backward"}:
        twin = phases[name.replace("gradients", "train")]
        phases[name] = twin if twin.code == phases[name].code else phases[name]
    return phases


def _phase(step: PlannedStep, phase: PlannedPhase, names: Names, functions: Functions) -> PhaseFunction:
    kernels = [k for k in phase.kernels if not k.variant.is_alias]
    found = [functions.function(step, k) for k in kernels]
    arrays = (names.declare(t) for t in callers_tensors(phase))
    counts = tuple(RUNTIME_PARAMETERS[word] for word in COUNTS if any(word in f.takes for f in found))
    parameters = (f"const {names.prefix}_network *net", "thread_barrier *barrier", *arrays, *counts)
    name = f"{step.name}_{phase.name}"
    groups = _groups(step, kernels, found, functions)
    return PhaseFunction(name, PHASES[name], (*parameters, "int part", "int parts"), groups)


def _groups(
    step: PlannedStep, kernels: list[Kernel], found: list[Function], functions: Functions
) -> tuple[CallGroup, ...]:
    """The calls of a phase, cut at barriers and where one thread alone follows all or the other way round."""
    groups: list[CallGroup] = []
    calls: list[str] = []
    following = [*kernels, None][1:]
    for kernel, function, after in zip(kernels, found, following, strict=True):
        calls.append(functions.call(step, kernel, function))
        if kernel.barrier or after is None or after.parallel != kernel.parallel:
            groups.append(CallGroup(kernel.parallel, tuple(calls), kernel.barrier))
            calls = []
    return tuple(groups)


def callers_tensors(phase: PlannedPhase) -> tuple[Tensor, ...]:
    """The caller's arrays that a phase uses, each once."""
    used = [t for k in phase.kernels for t in tensors_of(k.operation) if is_callers(t)]
    return tuple(dict.fromkeys(used))


def phase_call(phase: PlannedPhase, function: PhaseFunction, start: str = "", sliced: bool = False) -> list[str]:
    """The arguments with which a thread calls a phase. start: what says, in C, from which example on; by default from
    the first. sliced: of a step in slices, which keeps the loss of each apart."""
    arrays = []
    for tensor in callers_tensors(phase):
        if tensor.name == "loss_sums":
            arrays.append("call->batch_sums")
        elif tensor.role == WEIGHTS:  # of this mini-batch or slice already, or NULL
            arrays.append("slice_weights" if sliced and start else tensor.name)
        elif tensor.name == "loss" and sliced and start:
            arrays.append("call->slice_loss")
        elif start:
            arrays.append(f"call->{tensor.name} + {start} * {tensor.elements}")
        else:
            arrays.append(f"call->{tensor.name}")
    words = [word for word in (*COUNTS, "part", "parts") if RUNTIME_PARAMETERS[word] in function.parameters]
    other = ({"total_weight": "slice_weight"} if start else {"n": "call->n"}) if sliced else {}
    numbers = [other.get(word, word) for word in words]
    return ["net", "barrier", *arrays, *numbers]


def shared_phases(plan: Plan, phases: Mapping[str, PhaseFunction]) -> set[str]:
    """The phases in which threads share some work."""
    several = plan.threads > 1
    return {name for name, phase in phases.items() if several and any(group.shared for group in phase.groups)}


def example_ns(plan: Plan, phases: Collection[str]) -> int:
    """Nanoseconds that one thread is estimated to need for an example, as one of a full mini-batch whose parameters
    are prepared."""
    named = {f"{step.name}_{phase.name}": phase for step in plan.steps for phase in step.phases}
    named = {name: phase for name, phase in named.items() if phase.name not in ("prepack", "small_batch")}
    kernels = [kernel for name in phases if name in named for kernel in named[name].kernels]
    return ceil(sum(kernel.variant.cost_ns for kernel in kernels) / plan.batch)
