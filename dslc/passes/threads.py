"""Decides which kernels the threads share, and where barriers are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from dslc.operation import Tensor
from dslc.plan import Kernel, PlannedPhase

MIN_PARALLEL_NS = 10_000
"""Kernels cheaper than this run on the first thread alone: a barrier would cost more than sharing saves."""

MEETING_NS = 150
"""What each thread adds to the time of a barrier, where all count themselves in one place: measured with two."""

Place = Callable[[Tensor], tuple[str, int, int]]
"""Where a tensor is stored: the name of the memory, and the first and the end offset in it."""


def share_work(
    phases: tuple[PlannedPhase, ...],
    place: Place,
    min_ns: float = MIN_PARALLEL_NS,
    like: tuple[PlannedPhase, ...] = (),
) -> tuple[PlannedPhase, ...]:
    """Sets `parallel` and `barrier` in all kernels. min_ns: the cost from which on a kernel is shared. like: phases of
    the same names, behind whose kernels there are barriers here too, so that both can be one function of C."""
    given = {phase.name: {k.operation.name for k in phase.kernels if k.barrier} for phase in like}
    return tuple(
        replace(phase, kernels=_with_barriers(_shared(phase.kernels, min_ns), place, given.get(phase.name, ())))
        for phase in phases
    )


def estimated_ns(phases: Iterable[PlannedPhase], threads: int) -> float:
    """What full mini-batches take so many threads, as far as the kernels' estimates go."""
    kernels = [kernel for phase in phases for kernel in phase.kernels]
    work = sum(k.variant.cost_ns / (threads if k.parallel else 1) for k in kernels)
    return work + sum(k.barrier for k in kernels) * MEETING_NS * (threads if threads > 1 else 0)


def _shared(kernels: tuple[Kernel, ...], min_ns: float) -> tuple[Kernel, ...]:
    return tuple(
        replace(k, parallel=not k.variant.is_alias and k.variant.cost_ns >= min_ns, barrier=False) for k in kernels
    )


def _with_barriers(kernels: tuple[Kernel, ...], place: Place, given: Collection[str]) -> tuple[Kernel, ...]:
    """Puts a barrier before every kernel that touches memory that another thread may still write, or writes memory that
    another may still read, one behind each of the operations `given`, and one at the end. Kernels that the first thread
    runs alone need none between them."""
    marked = list(kernels)
    running: list[int] = []
    shared: list[Kernel] = []
    for index, kernel in enumerate(kernels):
        if kernel.variant.is_alias:
            continue
        others = (kernels[i] for i in running) if kernel.parallel else shared
        if any(_conflict(other, kernel, place) for other in others):
            marked[running[-1]] = replace(marked[running[-1]], barrier=True)
            running, shared = [], []
        running.append(index)
        if kernel.parallel:
            shared.append(kernel)
        if kernel.operation.name in given:
            marked[index] = replace(kernel, barrier=True)
            running, shared = [], []
    if running:
        marked[running[-1]] = replace(marked[running[-1]], barrier=True)
    return tuple(marked)


def _conflict(earlier: Kernel, later: Kernel, place: Place) -> bool:
    before, after = earlier.operation, later.operation
    return (
        _overlap(before.writes, after.reads, place)
        or _overlap(before.writes, after.writes, place)
        or _overlap(before.reads, after.writes, place)
    )


def _overlap(some: tuple[Tensor, ...], others: tuple[Tensor, ...], place: Place) -> bool:
    for memory, begin, end in map(place, some):
        for other_memory, other_begin, other_end in map(place, others):
            if memory == other_memory and begin < other_end and other_begin < end:
                return True
    return False
