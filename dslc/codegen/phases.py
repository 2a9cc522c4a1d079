"""Phases as functions of C: calls of kernels in a row, some of them in loops, cut at barriers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil

from dslc.codegen.calls import Call, calls_of
from dslc.codegen.functions import RUNTIME_PARAMETERS, Functions, tensors_of
from dslc.codegen.laps import first_laps
from dslc.codegen.names import PHASES, Names, is_callers
from dslc.codegen.statements import Loop, Statements, statements, timed_statements
from dslc.operation import WEIGHTS, Tensor
from dslc.plan import Plan, PlannedPhase, PlannedStep

COUNTS = ("n", "earlier", "total_weight")
"""What a phase is told of the examples where a kernel of it asks: how many it works on, how many were in the slices
before, and their weights' sum."""


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function that every thread calls with its own `part`."""

    name: str
    comment: str
    parameters: tuple[str, ...]
    body: Statements
    shares: bool

    @property
    def uses_arena(self) -> bool:
        """A network without memory of its own, such as a single activation, uses only the caller's arrays."""
        return mentions(self.body, "at + ")


def mentions(body: Statements, words: str) -> bool:
    """Whether a call has these words."""
    groups = [group for part in body for group in (part.groups if isinstance(part, Loop) else (part,))]
    return any(words in call for group in groups for call in group.calls)


def phase_functions(plan: Plan, names: Names, functions: Functions) -> dict[str, PhaseFunction]:
    """All phases by step and name; one of `gradients` that is the same as that of `train` is that one."""
    planned = {(step.name, phase.name): (step, phase) for step in plan.steps for phase in step.phases}
    calls = {key: calls_of(step, phase, names, functions) for key, (step, phase) in planned.items()}
    first = first_laps(plan) if plan.timed else {}
    printed: dict[tuple[str, str], PhaseFunction] = {}
    for key in planned:
        one = _twin(key) if calls.get(_twin(key)) == calls[key] else key
        if one not in printed:
            printed[one] = _phase(*planned[one], calls[one], names, first.get(one))
        printed[key] = printed[one]
    return {f"{step}_{phase}": printed[step, phase] for step, phase in planned}


def _twin(key: tuple[str, str]) -> tuple[str, str]:
    """The same phase of `train`."""
    return ("train" if key[0] == "gradients" else key[0], key[1])


def _phase(
    step: PlannedStep, phase: PlannedPhase, calls: tuple[Call, ...], names: Names, first_lap: int | None
) -> PhaseFunction:
    arrays = (names.declare(t) for t in callers_tensors(phase))
    counts = tuple(RUNTIME_PARAMETERS[word] for word in COUNTS if any(word in call.function.takes for call in calls))
    parameters = (f"const {names.prefix}_network *net", "thread_barrier *barrier", *arrays, *counts)
    name = f"{step.name}_{phase.name}"
    shares = any(call.shared for call in calls)
    body = statements(calls, names) if first_lap is None else timed_statements(calls, names, first_lap)
    return PhaseFunction(name, PHASES[name], (*parameters, "int part", "int parts"), body, shares)


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
    return {name for name, phase in phases.items() if plan.threads > 1 and phase.shares}


def example_ns(plan: Plan, phases: Collection[str]) -> int:
    """Nanoseconds that one thread is estimated to need for an example, as one of a full mini-batch whose parameters
    are prepared."""
    named = {f"{step.name}_{phase.name}": phase for step in plan.steps for phase in step.phases}
    named = {name: phase for name, phase in named.items() if phase.name not in ("prepack", "small_batch")}
    kernels = [kernel for name in phases if name in named for kernel in named[name].kernels]
    return ceil(sum(kernel.variant.cost_ns for kernel in kernels) / plan.batch)
