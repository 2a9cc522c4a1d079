"""Decides which kernels the threads share, and where barriers are needed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from dslc.operation import Tensor
from dslc.plan import Kernel, PlannedPhase

MIN_PARALLEL_NS = 10_000
"""Kernels cheaper than this run on the first thread alone: a barrier would cost more than sharing saves."""

MEETING_NS = 150
"""What each thread adds to the time of a barrier, where all count themselves in one place: measured with two."""

Span = tuple[str, int, int]
"""A stretch of memory: its name, and the first and the end offset in it."""
Place = Callable[[Tensor], Span]
"""Where a tensor is stored."""


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
        Kernel(k.operation, k.variant, parallel=not k.variant.is_alias and k.variant.cost_ns >= min_ns, barrier=False)
        for k in kernels
    )


def _with_barriers(kernels: tuple[Kernel, ...], place: Place, given: Collection[str]) -> tuple[Kernel, ...]:
    """Puts a barrier before every kernel that touches memory that another thread may still write, or writes memory that
    another may still read, one behind each of the operations `given`, and one at the end. Kernels that the first thread
    runs alone need none between them."""
    marked, last = list(kernels), -1
    everything, shared = Touched(), Touched()
    for index, kernel in enumerate(kernels):
        if kernel.variant.is_alias:
            continue
        reads, writes = (list(map(place, tensors)) for tensors in (kernel.operation.reads, kernel.operation.writes))
        if (everything if kernel.parallel else shared).conflict(reads, writes):
            marked[last] = _with_barrier(marked[last])
            everything, shared = Touched(), Touched()
        last = index
        for touched in (everything, shared) if kernel.parallel else (everything,):
            touched.add(reads, writes)
        if kernel.operation.name in given:
            marked[index] = _with_barrier(kernel)
            everything, shared = Touched(), Touched()
    if last >= 0:
        marked[last] = _with_barrier(marked[last])
    return tuple(marked)


def _with_barrier(kernel: Kernel) -> Kernel:
    return Kernel(kernel.operation, kernel.variant, kernel.parallel, barrier=True)


class Touched:
    """The memory that kernels since the last barrier read and write."""

    def __init__(self) -> None:
        self.read, self.written = Spans(), Spans()

    def add(self, reads: Iterable[Span], writes: Iterable[Span]) -> None:
        """Another kernel."""
        self.read.add(reads)
        self.written.add(writes)

    def conflict(self, reads: Iterable[Span], writes: Iterable[Span]) -> bool:
        """Whether a kernel reads what one of them writes, or writes what one of them reads or writes."""
        return self.written.meet(reads) or self.written.meet(writes) or self.read.meet(writes)


class Spans:
    """Stretches of memories, those that overlap made one: their beginnings and ends in order, by memory."""

    def __init__(self) -> None:
        self._stretches: dict[str, tuple[list[int], list[int]]] = {}

    def add(self, spans: Iterable[Span]) -> None:
        """Other stretches."""
        for memory, begin, end in spans:
            begins, ends = self._stretches.setdefault(memory, ([], []))
            first, after = bisect_right(ends, begin), bisect_left(begins, end)
            if first < after:
                begin, end = min(begin, begins[first]), max(end, ends[after - 1])
            begins[first:after], ends[first:after] = [begin], [end]

    def meet(self, spans: Iterable[Span]) -> bool:
        """Whether one of these stretches overlaps one of those."""
        for memory, begin, end in spans:
            begins, ends = self._stretches.get(memory, ((), ()))
            if bisect_right(ends, begin) < bisect_left(begins, end):
                return True
        return False
