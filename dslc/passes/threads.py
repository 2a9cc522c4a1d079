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
    marked = [replace(k, parallel=k.variant.cost_ns >= WORTH_SHARING_NS) for k in kernels]
    after = [*marked[1:], None]
    return tuple(
        replace(kernel, barrier=following is None or kernel.parallel or following.parallel)
        for kernel, following in zip(marked, after, strict=True)
    )
