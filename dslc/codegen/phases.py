"""Phases as functions of C: calls of kernels in a row, some of them in loops, cut at barriers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import ceil

from dslc.codegen.calls import Call, calls_of
from dslc.codegen.functions import RUNTIME_PARAMETERS, Functions, tensors_of
from dslc.codegen.laps import first_laps
from dslc.codegen.names import PHASES, Names, is_callers
from dslc.codegen.statements import Choice, Group, Loop, Statements, statements, timed_statements
from dslc.operation import WEIGHTS, Tensor
from dslc.plan import Plan, PlannedPhase, PlannedStep

COUNTS = ("n", "earlier", "first_slice", "last_slice", "idle", "total_weight")
"""What a phase is told of the examples where a kernel of it asks: how many it works on, how many were in the slices
before, whether this is the first that counts, or the last, whether this rank has none, and their weights' sum."""
UPDATES = "int updates"
"""The parameter of a function that two steps share: whether it is the one that updates."""


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function that every thread calls with its own `part`. `arrays` are the caller's that it takes."""

    name: str
    comment: str
    arrays: tuple[Tensor, ...]
    parameters: tuple[str, ...]
    body: Statements
    shares: bool

    @property
    def uses_arena(self) -> bool:
        """A network without memory of its own, such as a single activation, uses only the caller's arrays."""
        return mentions(self.body, "at + ")


def mentions(body: Statements, words: str) -> bool:
    """Whether a call has these words."""
    parts = [part for outer in body for part in (outer.parts if isinstance(outer, Loop) else (outer,))]
    return any(words in call for part in parts for group in _groups(part) for call in group.calls)


def _groups(part: Group | Choice) -> tuple[Group, ...]:
    return (*part.updating, *part.storing) if isinstance(part, Choice) else (part,)


def phase_functions(plan: Plan, names: Names, functions: Functions) -> dict[str, PhaseFunction]:
    """All phases by step and name; one of `gradients` that has most in common with that of `train` is that one,
    unless they are timed."""
    planned = {(step.name, phase.name): (step, phase) for step in plan.steps for phase in step.phases}
    calls = {key: calls_of(step, phase, names, functions) for key, (step, phase) in planned.items()}
    first = first_laps(plan) if plan.timed else {}
    printed: dict[tuple[str, str], PhaseFunction] = {}
    for key, (step, phase) in planned.items():
        twin = _twin(key)
        mergeable = twin != key and twin in calls and not plan.timed
        shared = merged(calls[twin], calls[key]) if mergeable else None
        if shared is not None:
            arrays = dict.fromkeys((*callers_tensors(planned[twin][1]), *callers_tensors(phase)))
            printed[key] = printed[twin] = _phase(*planned[twin], shared, tuple(arrays), names)
        elif key not in printed:
            printed[key] = _phase(step, phase, calls[key], callers_tensors(phase), names, first.get(key))
    return {f"{step}_{phase}": printed[step, phase] for step, phase in planned}


def _twin(key: tuple[str, str]) -> tuple[str, str]:
    """The same phase of `train`."""
    return ("train" if key[0] == "gradients" else key[0], key[1])


def merged(train: tuple[Call, ...], gradients: tuple[Call, ...]) -> tuple[Call, ...] | None:
    """The calls of both steps in order, where most are the same; None if that is not so."""
    plain, others = ([replace(call, barrier=False) for call in calls] for calls in (train, gradients))
    found: list[Call] = []
    for tag, begin, end, other_begin, other_end in SequenceMatcher(None, plain, others, autojunk=False).get_opcodes():
        pairs = zip(train[begin:end], gradients[other_begin:other_end], strict=False)
        if tag == "equal":
            found += [replace(one, barrier=one.barrier or other.barrier) for one, other in pairs]
        else:
            found += [replace(call, updates=True) for call in train[begin:end]]
            found += [replace(call, updates=False) for call in gradients[other_begin:other_end]]
    common = sum(call.updates is None for call in found)
    return tuple(found) if 2 * common >= len(found) else None


def _phase(
    step: PlannedStep,
    phase: PlannedPhase,
    calls: tuple[Call, ...],
    arrays: tuple[Tensor, ...],
    names: Names,
    first_lap: int | None = None,
) -> PhaseFunction:
    counts = [RUNTIME_PARAMETERS[word] for word in COUNTS if any(word in call.function.takes for call in calls)]
    choice = [UPDATES] if any(call.updates is not None for call in calls) else []
    name = f"{step.name}_{phase.name}"
    return PhaseFunction(
        name,
        PHASES[name],
        arrays,
        (
            f"const {names.prefix}_network *net",
            "thread_barrier *barrier",
            *map(names.declare, arrays),
            *counts,
            *choice,
            "int part",
            "int parts",
        ),
        statements(calls, names) if first_lap is None else timed_statements(calls, names, first_lap),
        any(call.shared for call in calls),
    )


def callers_tensors(phase: PlannedPhase) -> tuple[Tensor, ...]:
    """The caller's arrays that a phase uses, each once."""
    used = [t for k in phase.kernels for t in tensors_of(k.operation) if is_callers(t)]
    return tuple(dict.fromkeys(used))


def phase_call(
    function: PhaseFunction, start: str = "", words: Mapping[str, str] | None = None, updates: bool = True
) -> list[str]:
    """The arguments with which a thread calls a phase. start: what says, in C, from which example on; by default from
    the first. words: what stands, in C, for the loss, the counts and the weight of the examples where it is not what
    they are called. updates: of a step that updates."""
    other = words or {}
    arrays = []
    for tensor in function.arrays:
        if tensor.name == "loss_sums":
            arrays.append("call->batch_sums")
        elif tensor.role == WEIGHTS:  # of this mini-batch or slice already, or NULL
            arrays.append(other.get(tensor.name, tensor.name))
        elif tensor.name in other:
            arrays.append(other[tensor.name])
        elif start:
            arrays.append(f"call->{tensor.name} + {start} * {tensor.elements}")
        else:
            arrays.append(f"call->{tensor.name}")
    taken = [word for word in COUNTS if RUNTIME_PARAMETERS[word] in function.parameters]
    numbers = [other.get(word, word) for word in taken]
    choice = [str(int(updates))] if UPDATES in function.parameters else []
    return ["net", "barrier", *arrays, *numbers, *choice, "part", "parts"]


def shared_phases(plan: Plan, phases: Mapping[str, PhaseFunction]) -> set[str]:
    """The phases in which threads share some work."""
    return {name for name, phase in phases.items() if plan.threads > 1 and phase.shares}


def example_ns(plan: Plan, phases: Collection[str]) -> int:
    """Nanoseconds that one thread is estimated to need for an example, as one of a full mini-batch whose parameters
    are prepared."""
    named = {f"{step.name}_{phase.name}": (step, phase) for step in plan.steps for phase in step.phases}
    found = [named[name] for name in phases if name in named]
    counted = [(step, phase) for step, phase in found if phase.name not in ("prepack", "small_batch")]
    return ceil(sum(kernel.variant.cost_ns / step.batch for step, phase in counted for kernel in phase.kernels))
