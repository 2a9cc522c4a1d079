"""Phases of an exported network: functions that call kernels in a row, on one thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.codegen.functions import RUNTIME_PARAMETERS, Functions
from dslc.codegen.names import PHASES, Names
from dslc.codegen.phases import COUNTS, callers_tensors
from dslc.plan import PlannedPhase, PlannedStep


@dataclass(frozen=True)
class PhaseFunction:
    """A phase as a function of C. `arguments` are what a public function calls it with."""

    name: str
    comment: str
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    calls: tuple[str, ...]

    @property
    def uses_memory(self) -> bool:
        """Whether it works in the memory that the caller gave."""
        return any("at + " in call for call in self.calls)

    @property
    def uses_weights(self) -> bool:
        """Whether it reads constants."""
        return any("weights + " in call for call in self.calls)


def phase_function(
    step: PlannedStep, phase: PlannedPhase, arrays: Mapping[str, str], names: Names, functions: Functions
) -> PhaseFunction:
    """The function of a phase. arrays: the caller's arrays where it is called, by the names that it has for them."""
    kernels = [k for k in phase.kernels if not k.variant.is_alias]
    found = [functions.function(step, k) for k in kernels]
    given = callers_tensors(phase)
    counts = [word for word in COUNTS if any(word in f.takes for f in found)]
    name = f"{step.name}_{phase.name}"
    return PhaseFunction(
        name,
        PHASES[name],
        (f"const {names.prefix}_t *net", *(names.declare(t) for t in given), *(RUNTIME_PARAMETERS[c] for c in counts)),
        ("net", *(arrays[t.name] for t in given), *("n" for _ in counts)),  # all examples weigh 1
        tuple(functions.call(step, k, f) for k, f in zip(kernels, found, strict=True)),
    )
