"""What a name in an ONNX graph stands for while it is translated.

A value that flows is one of our values and, for every place of the ONNX tensor (without the batch), the number that
stands there: its position among ours, counted row by row with the channels last. So operators that only move numbers
are carried out on positions, and a layer is emitted only where numbers are needed in an order of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from dslc.numerics import Array, np
from dslc.shape import Shape

MOST = 1 << 27
"""So many numbers a value may have."""


class Lacking(Exception):
    """The language has nothing for a node; the text says why."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers that do not depend on the inputs."""

    array: Array


@dataclass(frozen=True, eq=False)
class Flowing:
    """`index` has the ONNX tensor's shape without the batch: the positions in our value `source` of `shape`."""

    source: str
    shape: Shape
    index: Array

    @property
    def whole(self) -> bool:
        """Whether every number of our value stands at one place."""
        return self.index.size == prod(self.shape) and bool((np.bincount(self.index.ravel()) == 1).all())

    @property
    def last(self) -> bool:
        """Whether the ONNX tensor has the numbers in our order: the channels last."""
        return bool(np.array_equal(self.index.ravel(), np.arange(self.index.size)))


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula of each number of `base`, such as x * sigmoid(x); `kind` and `operands` are its last step, in which
    numbers stand for themselves. `function` computes it in NumPy; with an `axis` of the index it is one of whole rows
    along that (rows, numbers), such as x / sqrt(mean(x^2)), whose result may have one number a row."""

    base: Flowing
    function: Callable[[Array], Array]
    kind: str
    operands: tuple[Formula | Flowing | float, ...]
    outer: Callable[[Array], Array] | None = None
    """The last step as a function of the only operand that is no number."""
    axis: int | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """base * factor + shift, with arrays of the shape of the ONNX tensor."""

    base: Flowing
    factor: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class Left:
    """A result that no layer computes and that may be left out, such as the class with the largest probability."""


@dataclass(frozen=True, eq=False)
class Unknown:
    """A result of a node that could not be translated."""


Value = Constant | Flowing | Formula | Affine | Left | Unknown


@lru_cache(maxsize=64)
def in_order(shape: Shape) -> Array:
    """The positions of an example of ours as ONNX orders them, with the channels first."""
    return np.moveaxis(np.arange(prod(shape), dtype=np.int32).reshape(shape), -1, 0)


def image_shape(tensor: Shape) -> Shape:
    """Our shape of an ONNX tensor with channels first, without the batch: a line of pixels is an image of one row."""
    if len(tensor) == 2:
        return (1, tensor[1], tensor[0])
    return (*tensor[1:], tensor[0])


@dataclass(frozen=True)
class Rows:
    """A tensor seen as rows along an axis: the pixel that each row is, the channel of each of its numbers, and the
    shape of the other axes."""

    pixels: Array
    channels: Array
    shape: Shape


def rows_along(value: Flowing, axis: int) -> Rows | None:
    """A value as rows along an axis of its index, if each of them is of one pixel, with the channels in the same order
    everywhere; None otherwise."""
    moved = np.moveaxis(value.index, axis, -1)
    flat = moved.reshape(-1, moved.shape[-1])
    pixels, channels = flat // value.shape[-1], flat % value.shape[-1]
    if (pixels == pixels[:, :1]).all() and (channels == channels[:1]).all():
        return Rows(pixels[:, 0], channels[0], moved.shape[:-1])
    return None


def of_ours(value: Flowing, array: Array) -> Array:
    """Numbers for the places of the ONNX tensor as numbers of the channels of our value (channels,). Raises Lacking if
    they differ from pixel to pixel."""
    ours = np.empty(prod(value.shape), np.float64)
    ours[value.index.ravel()] = np.broadcast_to(array, value.index.shape).ravel()
    by_pixel = ours.reshape(-1, value.shape[-1])
    if not (by_pixel == by_pixel[:1]).all():
        raise Lacking("its numbers differ from pixel to pixel")
    return np.asarray(by_pixel[0])
