"""Phases of an exported network: functions that call kernels in a row, on one thread or on all that take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.codegen.calls import calls_of
from dslc.codegen.functions import RUNTIME_PARAMETERS, Functions
from dslc.codegen.names import PHASES, Names
from dslc.codegen.phases import COUNTS, callers_tensors, mentions
from dslc.codegen.statements import Statements, statements
from dslc.plan import PlannedPhase, PlannedStep


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function of C. `arguments` are what a public function calls it with."""

    name: str
    comment: str
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    body: Statements

    @property
    def uses_memory(self) -> bool:
        """Whether it works in the memory that the caller gave."""
        return mentions(self.body, "at + ")

    @property
    def uses_weights(self) -> bool:
        """Whether it reads constants."""
        return mentions(self.body, "weights + ")


def phase_function(
    step: PlannedStep, phase: PlannedPhase, arrays: Mapping[str, str], names: Names, functions: Functions
) -> PhaseFunction:
    """The function of a phase. arrays: the caller's arrays where it is called, by the names that it has for them."""
    calls = calls_of(step, phase, names, functions)
    if functions.alone:
        calls = tuple(replace(call, shared=True, barrier=False) for call in calls)
    barrier, part = ((), ()) if functions.alone else (("barrier",), ("part", "parts"))
    given = callers_tensors(phase)
    counts = [word for word in COUNTS if any(word in call.function.takes for call in calls)]
    name = f"{step.name}_{phase.name}"
    return PhaseFunction(
        name,
        PHASES[name],
        (
            f"const {names.prefix}_t *net",
            *(RUNTIME_PARAMETERS[c] for c in barrier),
            *(names.declare(t) for t in given),
            *(RUNTIME_PARAMETERS[c] for c in (*counts, *part)),
        ),
        ("net", *barrier, *(arrays[t.name] for t in given), *("n" for _ in counts), *part),  # all examples weigh 1
        statements(calls, names),
    )
