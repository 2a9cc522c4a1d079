"""Where the numbers of values lie that are broadcast against one another.

Neighbouring axes that the same tensors have are one axis: a vector of channels times a map is rows of channels. The
mini-batch is part of the first axis, and examples in the lanes of vectors are a last axis of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import prod

from dslc.kernels import Setting, detail
from dslc.layers._arithmetic import CombineDetail
from dslc.operation import Operation, Tensor

BLOCK = 128
"""Numbers of a row that are summed at a time."""
COLUMNS = 64
"""Partial sums of a row: short sums have less rounding error, and fill vectors."""


@dataclass(frozen=True)
class Axis:
    """Places along an axis, and the tensors that have it; the others have one number for all of them. Of the first axis
    `size` is for one image."""

    size: int
    tensors: frozenset[Tensor]


def merged_axes(op: Operation, setting: Setting) -> tuple[Axis, ...]:
    """The axes of the operation's places, the first with the mini-batch. Where all sizes are 1 there is no other, but
    one of a single place if a tensor is the same for all examples."""
    d, tensors = detail(op, CombineDetail), (*op.reads, *op.writes)
    batched = frozenset(t for t in tensors if t.batched)
    axes = [Axis(1, batched)]
    for i, size in enumerate(d.shape):
        axes.append(Axis(size, frozenset(t for t, seen in zip(tensors, d.seen, strict=True) if seen[i] == size)))
    axes.append(Axis(setting.layout(op.writes[0]).examples, batched))
    proper = [axis for i, axis in enumerate(axes) if i == 0 or axis.size > 1]
    groups = ((has, list(group)) for has, group in groupby(proper, key=lambda axis: axis.tensors))
    merged = tuple(Axis(prod(axis.size for axis in group), has) for has, group in groups)
    return merged if len(merged) > 1 or batched.issuperset(tensors) else (*merged, Axis(1, frozenset(tensors)))


@dataclass(frozen=True)
class Places:
    """The places of a `combine` in rows: `row` counts the rows of the result, the axes along which it is summed have
    an index of their own, `r1` and so on, and the last axis is walked over in a row."""

    axes: tuple[Axis, ...]
    result: Tensor

    @property
    def inner(self) -> Axis:
        """The last axis."""
        return self.axes[-1]

    @property
    def rows(self) -> int:
        """Rows of the result in an image."""
        return prod(axis.size for axis in self.axes[:-1] if self.result in axis.tensors)

    @property
    def summed(self) -> tuple[tuple[str, int], ...]:
        """The index and the size of the axes before the last along which the result is summed."""
        return tuple((f"r{i}", a.size) for i, a in enumerate(self.axes[:-1]) if self.result not in a.tensors)

    @property
    def sums_rows(self) -> bool:
        """Whether a whole row becomes one number."""
        return self.result not in self.inner.tensors

    def offset(self, tensor: Tensor) -> str:
        """Where a row of a tensor begins, as C text behind the array's name: ` + row / 12 * 5`."""
        terms = []
        for own, run in groupby(range(len(self.axes) - 1), key=lambda i: self._index_of(tensor, i)):
            if not own:
                continue
            numbers = list(run)
            size = prod(self.axes[i].size for i in numbers)
            stride = self._numbers(tensor, numbers[-1] + 1)
            index = own
            if own == "row":
                after = self._numbers(self.result, numbers[-1] + 1) // self._numbers(self.result, len(self.axes) - 1)
                index = f"row{f' / {after}' if after > 1 else ''}{f' % {size}' if numbers[0] > 0 else ''}"
            terms.append(f" + {index}{f' * {stride}' if stride > 1 else ''}")
        return "".join(terms)

    def _index_of(self, tensor: Tensor, number: int) -> str:
        """What counts the places along an axis: `row`, an index of its own, or nothing where the tensor has not the
        axis."""
        axis = self.axes[number]
        if tensor not in axis.tensors:
            return ""
        return "row" if self.result in axis.tensors else f"r{number}"

    def _numbers(self, tensor: Tensor, first: int) -> int:
        """Numbers of a tensor along the axes from `first` on."""
        return prod(axis.size for axis in self.axes[first:] if tensor in axis.tensors)
