"""Where values lie: those that are never needed together share memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.quantization.program import Program


@dataclass(frozen=True)
class Memory:
    """Where each tensor begins, in bytes, and how many bytes there are."""

    offsets: Mapping[str, int]
    bytes: int


def place(program: Program, batch: int, unit: int) -> Memory:
    """Places of `batch` examples of each tensor, at multiples of `unit` bytes: the largest first, each as low as those
    that are needed at the same time let it. Inputs are there from the start, what heads read stays to the end."""
    spans = _spans(program)
    sizes = {t.name: -(-t.elements * batch // unit) * unit for t in program.tensors}
    offsets: dict[str, int] = {}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        begin, end = spans[name]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if spans[other][0] <= end and begin <= spans[other][1]
        )
        at = 0
        for low, high in taken:
            if at + sizes[name] <= low:
                break
            at = max(at, high)
        offsets[name] = at
    return Memory(offsets, max(offsets[name] + sizes[name] for name in offsets))


def _spans(program: Program) -> dict[str, tuple[int, int]]:
    """The operations between which each tensor is needed, first and last, by number."""
    last = len(program.operations)
    spans = {port.tensor: (-1, -1) for port in program.ports}
    for number, op in enumerate(program.operations):
        spans[op.y] = (number, number)
        for name in op.reads:
            spans[name] = (spans[name][0], number)
    for ending in program.endings:
        spans[ending.tensor] = (spans[ending.tensor][0], last)
    return spans
