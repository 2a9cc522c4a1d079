"""Memory planning: places the activations of a step in the workspace. Those that are never live together share it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dslc.layout import Layout
from dslc.numerics import Array, np
from dslc.operation import ACTIVATION, Tensor
from dslc.plan import ALIGNMENT, Buffer, Kernel

Span = tuple[int, int]
"""The first and the last kernel in a row of phases that touches a tensor; kernels are numbered through all rows."""
NEVER: Span = (1 << 62, -1)
"""A span that meets no other."""


@dataclass(frozen=True)
class _LiveRange:
    """A tensor's live range: a span for every row that touches it."""

    tensor: Tensor
    elements: int
    spans: tuple[Span, ...]


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

    rows: the kernels of each row of phases. batch: the largest mini-batch. start: the first free offset, in elements.
    persistent: tensors that share memory with nothing else.
    """
    aliases = _aliases(rows)
    buffers: dict[str, Buffer] = {}
    lives = _live_ranges(rows, layouts, aliases, batch, itemsize, persistent)
    placed = _Placed(start, len(lives), len(rows))
    for chain in sorted(_chains(rows, lives, aliases), key=lambda c: (-c[0].elements, c[0].spans[0])):
        offset = placed.add(chain)
        for life in chain:
            buffers[life.tensor.name] = Buffer(life.tensor, layouts[life.tensor.name], offset, life.elements)
    for tensor, root in aliases.items():
        if root.name in buffers:
            shared = buffers[root.name]
            buffers[tensor.name] = Buffer(tensor, layouts[tensor.name], shared.offset, shared.elements, root.name)
    return buffers


class _Placed:
    """The live ranges that have a place, in arrays in the order of their offsets, so that a question to all of them is
    one operation. A live range without a span in a row has one there that is empty."""

    def __init__(self, start: int, count: int, rows: int) -> None:
        self.start, self.count = start, 0
        self.table = np.empty((2 + 2 * rows, count), np.int64)
        self.begin, self.end = self.table[:2]
        self.first, self.last = self.table[2 : 2 + rows], self.table[2 + rows :]

    def add(self, chain: Chain) -> int:
        """Places a chain at the lowest offset that is free while it lives, and returns it."""
        offset = self._free(chain)
        for life in chain:
            self._insert(life, offset)
        return offset

    def _insert(self, life: _LiveRange, offset: int) -> None:
        at = int(np.searchsorted(self.begin[: self.count], offset))
        self.table[:, at + 1 : self.count + 1] = self.table[:, at : self.count]
        self.begin[at], self.end[at] = offset, offset + life.elements
        self.first[:, at], self.last[:, at] = NEVER
        for row, (first, last) in enumerate(life.spans):
            self.first[row, at], self.last[row, at] = first, last
        self.count += 1

    def _free(self, chain: Chain) -> int:
        busy = [self._busy(life) for life in chain]
        last = np.concatenate(
            [self.begin[: self.count][b] - life.elements for b, life in zip(busy, chain, strict=True)]
        )
        ends = np.concatenate([self.end[: self.count][b] for b in busy])
        order = np.argsort(last, kind="stable")
        free_from = np.maximum.accumulate(np.concatenate(([self.start], ends[order])))
        fits = np.flatnonzero(free_from[:-1] <= last[order])
        return int(free_from[fits[0] if len(fits) else -1])

    def _busy(self, life: _LiveRange) -> Array:
        """Which of those that have a place live at the same time."""
        first, last = self.first[:, : self.count], self.last[:, : self.count]
        busy = np.zeros(self.count, bool)
        for begin, end in life.spans:
            busy |= ((first <= end) & (begin <= last)).any(axis=0)
        return busy


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
    spans.update({t: {0: (0, now)} for t in persistent if t in spans})
    return [
        _LiveRange(t, aligned_size(layouts[t.name].total(batch if t.batched else 1), itemsize), tuple(own.values()))
        for t, own in spans.items()
    ]
