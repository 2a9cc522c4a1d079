"""Places the activations of a step in the workspace: those that are not needed at one time share memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dslc.layout import Layout
from dslc.operation import ACTIVATION, Tensor
from dslc.plan import ALIGNMENT, Buffer, Kernel


@dataclass(frozen=True)
class _Life:
    tensor: Tensor
    elements: int
    first: int
    last: int


def rounded(elements: int, itemsize: int) -> int:
    """Elements up to a whole number of aligned units."""
    unit = ALIGNMENT // itemsize
    return -(-elements // unit) * unit


def place(
    kernels: Sequence[Kernel],
    layouts: Mapping[str, Layout],
    batch: int,
    itemsize: int,
    start: int,
    lasting: Collection[Tensor] = (),
) -> dict[str, Buffer]:
    """A buffer for every activation that the kernels touch, from offset `start` on; those that are `lasting` share
    their memory with no other."""
    aliases = _aliases(kernels)
    buffers: dict[str, Buffer] = {}
    placed: list[tuple[int, _Life]] = []
    for life in sorted(
        _lives(kernels, layouts, aliases, batch, itemsize, lasting), key=lambda n: (-n.elements, n.first)
    ):
        busy = sorted((o, o + other.elements) for o, other in placed if _together(life, other))
        offset = start
        for begin, end in busy:
            if offset + life.elements <= begin:
                break
            offset = max(offset, end)
        placed.append((offset, life))
        buffers[life.tensor.name] = Buffer(life.tensor, layouts[life.tensor.name], offset, life.elements)
    for tensor, root in aliases.items():
        if root.name in buffers:
            shared = buffers[root.name]
            buffers[tensor.name] = Buffer(tensor, layouts[tensor.name], shared.offset, shared.elements, root.name)
    return buffers


def _together(a: _Life, b: _Life) -> bool:
    return a.first <= b.last and b.first <= a.last


def _aliases(kernels: Sequence[Kernel]) -> dict[Tensor, Tensor]:
    """Which tensor is only another name for which."""
    roots: dict[Tensor, Tensor] = {}
    for kernel in kernels:
        if kernel.variant.is_alias:
            source = kernel.operation.reads[0]
            roots[kernel.operation.writes[0]] = roots.get(source, source)
    return roots


def _lives(
    kernels: Sequence[Kernel],
    layouts: Mapping[str, Layout],
    aliases: Mapping[Tensor, Tensor],
    batch: int,
    itemsize: int,
    lasting: Collection[Tensor],
) -> list[_Life]:
    spans: dict[Tensor, tuple[int, int]] = {}
    for index, kernel in enumerate(kernels):
        for tensor in (*kernel.operation.reads, *kernel.operation.writes):
            root = aliases.get(tensor, tensor)
            if root.role == ACTIVATION:
                spans[root] = (spans.get(root, (index, index))[0], index)
    spans.update({t: (0, len(kernels)) for t in lasting if t in spans})
    return [
        _Life(t, rounded(layouts[t.name].total(batch if t.batched else 1), itemsize), first, last)
        for t, (first, last) in spans.items()
    ]
