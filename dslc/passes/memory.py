"""Memory planning: places the activations of a step in the workspace. Those that are never live together share it."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from dslc.layout import Layout
from dslc.operation import ACTIVATION, Tensor
from dslc.plan import ALIGNMENT, Buffer, Kernel

Span = tuple[int, int]
"""The first and the last kernel in a row of phases that touches a tensor; kernels are numbered through all rows."""
STRETCH = 256
"""So many kernels of a row have a list of what lives while they run."""
ALL = -1
"""In the place of a stretch: the whole row."""


@dataclass(frozen=True)
class _LiveRange:
    """A tensor's live range: a span for every row that touches it, by the row's index."""

    tensor: Tensor
    elements: int
    spans: Mapping[int, Span]


Chain = tuple[_LiveRange, ...]
"""Live ranges at one place: each tensor but the first overwrites the one before it."""


def aligned_size(elements: int, itemsize: int) -> int:
    """The next multiple of the alignment that is not below this number of elements."""
    unit = ALIGNMENT // itemsize
    return -(-elements // unit) * unit


def place(
    rows: Sequence[Sequence[Kernel]],
    layouts: Mapping[str, Layout],
    batch: int,
    itemsize: int,
    start: int,
    persistent: Collection[Tensor] = (),
) -> dict[str, Buffer]:
    """A buffer for every activation that the kernels touch, by name: the largest first, each at the lowest free offset.

    rows: the kernels of each row of phases. batch: the largest mini-batch. start: the first free offset,
    in elements. persistent: tensors that share memory with nothing else.
    """
    aliases = _aliases(rows)
    buffers: dict[str, Buffer] = {}
    lives = _live_ranges(rows, layouts, aliases, batch, itemsize, persistent)
    placed = _Placed(start)
    for chain in sorted(_chains(rows, lives, aliases), key=lambda c: (-c[0].elements, min(c[0].spans.values()))):
        offset = placed.add(chain)
        for life in chain:
            buffers[life.tensor.name] = Buffer(life.tensor, layouts[life.tensor.name], offset, life.elements)
    for tensor, root in aliases.items():
        if root.name in buffers:
            shared = buffers[root.name]
            buffers[tensor.name] = Buffer(tensor, layouts[tensor.name], shared.offset, shared.elements, root.name)
    return buffers


class _Placed:
    """The live ranges that have a place, as begin, end and span, in the order of their offsets: all of a row, and those
    that touch each stretch of its kernels. So what lives briefly, as most do, is compared with few, and the search ends
    at the first gap that fits."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.taken: dict[tuple[int, int], list[tuple[int, int, int, int]]] = defaultdict(list)

    def add(self, chain: Chain) -> int:
        """Places a chain at the lowest offset that is free while it lives, and returns it."""
        pieces = [(life.elements, row, span) for life in chain for row, span in life.spans.items()]
        offset, fitting = self.start, 0
        for piece in cycle(pieces):
            found = self._free(offset, *piece)
            fitting = fitting + 1 if found == offset else 1
            offset = found
            if fitting == len(pieces):
                break
        for piece in pieces:
            self._take(offset, *piece)
        return offset

    def _free(self, offset: int, elements: int, row: int, span: Span) -> int:
        """The lowest offset from this one on where so many elements are free during a span."""
        first, last = span
        stretch = first // STRETCH
        for begin, end, others_first, others_last in self.taken[row, stretch if last // STRETCH == stretch else ALL]:
            if end > offset and others_first <= last and first <= others_last:
                if begin >= offset + elements:
                    break
                offset = end
        return offset

    def _take(self, offset: int, elements: int, row: int, span: Span) -> None:
        first, last = span
        for stretch in (ALL, *range(first // STRETCH, last // STRETCH + 1)):
            insort(self.taken[row, stretch], (offset, offset + elements, first, last))


def _chains(
    rows: Sequence[Sequence[Kernel]], lives: Sequence[_LiveRange], aliases: Mapping[Tensor, Tensor]
) -> list[Chain]:
    """All live ranges, in chains where tensors overwrite others."""
    after: dict[Tensor, Tensor] = {}
    for kernel in (kernel for row in rows for kernel in row):
        if overwritten := kernel.overwritten:
            after[aliases.get(overwritten, overwritten)] = kernel.operation.writes[0]
    by_tensor, later = {life.tensor: life for life in lives}, set(after.values())
    chains = []
    for life in lives:
        if life.tensor not in later:
            chain = [life]
            while chain[-1].tensor in after:
                chain.append(by_tensor[after[chain[-1].tensor]])
            chains.append(tuple(chain))
    return chains


def _aliases(rows: Sequence[Sequence[Kernel]]) -> dict[Tensor, Tensor]:
    """For each tensor that is an alias, the tensor whose memory it shares."""
    roots: dict[Tensor, Tensor] = {}
    for kernel in (kernel for row in rows for kernel in row):
        if kernel.variant.is_alias:
            source = kernel.operation.reads[0]
            roots[kernel.operation.writes[0]] = roots.get(source, source)
    return roots


def _live_ranges(
    rows: Sequence[Sequence[Kernel]],
    layouts: Mapping[str, Layout],
    aliases: Mapping[Tensor, Tensor],
    batch: int,
    itemsize: int,
    persistent: Collection[Tensor],
) -> list[_LiveRange]:
    spans: dict[Tensor, dict[int, Span]] = {}
    now = 0
    for row, kernels in enumerate(rows):
        for kernel in kernels:
            for tensor in (*kernel.operation.reads, *kernel.operation.writes):
                root = aliases.get(tensor, tensor)
                if root.role == ACTIVATION:
                    own = spans.setdefault(root, {})
                    own[row] = (own.get(row, (now, now))[0], now)
            now += 1
    spans.update({t: dict.fromkeys(range(len(rows)), (0, now)) for t in persistent if t in spans})
    return [
        _LiveRange(t, aligned_size(layouts[t.name].total(batch if t.batched else 1), itemsize), own)
        for t, own in spans.items()
    ]
