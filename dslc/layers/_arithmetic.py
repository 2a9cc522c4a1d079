"""The common part of the layers that combine values number by number: `add`, `multiply`, `maximum`, ...

Sizes are broadcast: along an axis of size 1 a value counts for every place of the others, and a vector of channels for
every pixel of an image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from dslc.layers import Layer, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.operation import Tensor
from dslc.scalar import Scalar, variable
from dslc.shape import Shape, SizeProblem, show_shape

DY = variable("dy")


@dataclass(frozen=True)
class CombineDetail:
    """A formula for every place of `shape`, to which what is read is broadcast; the result is summed along the axes in
    which it has size 1. `names` are the formula's variables, in the order of the reads; `seen` are the shapes in which
    the reads and then the result are seen, with as many axes."""

    formula: Scalar
    names: tuple[str, ...]
    shape: Shape
    seen: tuple[Shape, ...]


class Arithmetic(Layer):
    """y = a formula of the numbers of two or more values at each place."""

    merges = True
    most: ClassVar[int | None] = None
    """The most values that it takes; None for any number."""

    def value(self, xs: tuple[Scalar, ...]) -> Scalar:
        """y as a formula of the values."""
        raise NotImplementedError

    def slope(self, xs: tuple[Scalar, ...], number: int) -> Scalar:
        """dy times the derivative by xs[number], a formula of DY and the values."""
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The size that all are broadcast to. Raises SizeProblem if they do not fit, or are too many."""
        what = type(self).__name__.lower()
        if self.most is not None and len(inputs) > self.most:
            raise SizeProblem(f"{what} takes {self.most} values, not {len(inputs)}")
        return broadcast(inputs, what)

    def forward(self, site: Site) -> None:
        """One `combine` of all values."""
        combine(site, "forward", self.value(_variables(site)), site.y)

    def backward(self, site: Site) -> None:
        """For each value one `combine`, summed along the axes in which it was broadcast; where dx is dy as it is,
        another name for it."""
        for number, dx in enumerate(site.dx):
            if dx is None:
                continue
            formula, job = self.slope(_variables(site), number), f"backward_{number + 1}"
            if formula == DY and dx.shape == site.y.shape:
                site.op("identity", job, (site.dy,), (dx,))
            else:
                combine(site, job, formula, dx)


def _variables(site: Site) -> tuple[Scalar, ...]:
    return tuple(variable(f"x{i}") for i in range(1, len(site.x) + 1))


def combine(site: Site, job: str, formula: Scalar, result: Tensor) -> None:
    """Emits the `combine` that computes a formula of DY and the values x1, x2, ..., of which it reads what occurs."""
    values = {f"x{i}": x for i, x in enumerate(site.x, 1)}
    known = values if site.dy is None else {"dy": site.dy, **values}
    names = tuple(name for name in known if re.search(rf"\b{name}\b", formula.code))
    reads, shape = tuple(known[name] for name in names), site.y.shape
    seen = tuple(aligned(t.shape, len(shape)) for t in (*reads, result))
    site.op("combine", job, reads, (result,), CombineDetail(formula, names, shape, seen))


# ------------------------------------------------------------------------------------------- sizes


def aligned(shape: Shape, axes: int) -> Shape:
    """A shape with so many axes: a vector of channels is an image of one pixel."""
    return (*(1,) * (axes - len(shape)), *shape)


def broadcast(inputs: Iterable[Shape], what: str) -> Shape:
    """The size that all shapes are broadcast to. Raises SizeProblem, naming the layer `what`, if they do not fit."""
    shapes = tuple(dict.fromkeys(inputs))
    axes = max(map(len, shapes))
    sizes = [{n for n in column if n > 1} for column in zip(*(aligned(s, axes) for s in shapes), strict=True)]
    if all(len(found) <= 1 for found in sizes):
        return tuple(max(found, default=1) for found in sizes)
    listed = " and ".join(map(show_shape, shapes))
    raise SizeProblem(
        f"{what} needs values of the same size, not {listed}",
        notes=(
            _advice(shapes, sizes),
            "an axis of size 1 counts for all places of the others, a vector for all pixels",
        ),
    )


def _advice(shapes: tuple[Shape, ...], sizes: list[set[int]]) -> str:
    """What to write where the channels or features differ, or rows and columns."""
    *pixels, channels = sizes
    if any(len(found) > 1 for found in pixels):
        if all(len(shape) < 3 for shape in shapes):
            return "help: bring them to the same number of steps first, with pad=same, stride or pooling"
        return "help: bring them to the same height and width first, with pad=same, stride, pooling or upsample"
    most = max(channels)
    other = next(shape for shape in shapes if shape[-1] not in (1, most))
    layer = f"conv({most}, 1x1)" if len(other) == 3 else f"dense({most})"
    return f"help: {layer} makes {show_shape((*other[:-1], most))} of {show_shape(other)}"


# ------------------------------------------------------------------------------------------- in NumPy


def combined(xs: tuple[Array, ...], y: Callable[..., Array], slopes: Callable[..., Iterable[Array]]) -> Reference:
    """For references: y of the values (n, *shape), and of dy and the values the gradients at the size of y, which are
    summed along the axes in which a value was broadcast."""
    axes = max(x.ndim for x in xs) - 1
    wide = tuple(x.reshape(len(x), *aligned(x.shape[1:], axes)) for x in xs)
    result = y(*wide)

    def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
        found = zip(slopes(dy, *wide), wide, xs, strict=True)
        return tuple(_summed(np.broadcast_to(g, result.shape), w).reshape(x.shape) for g, w, x in found), {}

    return Reference(result, pull)


def _summed(gradient: Array, value: Array) -> Array:
    axes = tuple(i for i in range(1, value.ndim) if value.shape[i] == 1)
    return np.asarray(gradient.sum(axis=axes, keepdims=True))
