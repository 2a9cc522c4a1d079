"""Which times a timed plan's C measures: one for every call of a kernel."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.plan import Kernel, Plan


@dataclass(frozen=True)
class Lap:
    """A call of a kernel in a phase. Its time is counted from the end of the call before, barrier included."""

    step: str
    phase: str
    kernel: Kernel


def laps(plan: Plan) -> tuple[Lap, ...]:
    """All laps, each at the index that it has in the array of `NAME_lap_seconds`."""
    return tuple(
        Lap(step.name, phase.name, kernel)
        for step in plan.steps
        for phase in step.phases
        for kernel in phase.kernels
        if not kernel.variant.is_alias
    )


def first_laps(plan: Plan) -> dict[tuple[str, str], int]:
    """The index of the first lap of each phase that has any, by step and phase; the others of the phase follow."""
    found: dict[tuple[str, str], int] = {}
    for index, lap in enumerate(laps(plan)):
        found.setdefault((lap.step, lap.phase), index)
    return found
