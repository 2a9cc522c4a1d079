"""Decides which kernels the threads share, and where they must meet."""

from __future__ import annotations

from dataclasses import replace

from dslc.plan import Kernel, PlannedPhase

WORTH_SHARING_NS = 10_000
"""Below this the first thread works alone: meeting costs more than is won."""


def share_work(phases: tuple[PlannedPhase, ...]) -> tuple[PlannedPhase, ...]:
    """Phases whose kernels know whether they are shared and whether a barrier follows."""
    return tuple(replace(phase, kernels=_shared(phase.kernels)) for phase in phases)


def _shared(kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
    """An alias runs nothing: what stands before it meets with what stands after it."""
    marked: list[Kernel] = []
    following: Kernel | None = None
    for kernel in reversed(kernels):
        if kernel.variant.is_alias:
            marked.append(replace(kernel, parallel=False, barrier=False))
            continue
        parallel = kernel.variant.cost_ns >= WORTH_SHARING_NS
        following = replace(kernel, parallel=parallel, barrier=following is None or parallel or following.parallel)
        marked.append(following)
    return tuple(reversed(marked))
