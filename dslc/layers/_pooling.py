"""The common part of the pooling layers. To all of them a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from dslc.language.arguments import Count, Flag, HeightWidth, Padding, Size, StepPadding, Whole
from dslc.layers import Layer, Mode, Pull, Reference
from dslc.layers._lengths import pool_steps, pool_steps_back, pooled_steps, require_lengths
from dslc.layers.conv import pad_image, unreached, window_taps
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import (
    Pair,
    Shape,
    SizeProblem,
    Window,
    as_image,
    require_image,
    require_places,
    require_sequence,
    steps_window,
)


@dataclass(frozen=True)
class PoolDetail:
    """Sizes of image and window, with the padding above and on the left as numbers."""

    input: Shape
    output: Shape
    size: Pair
    stride: Pair
    before: Pair
    counted: Pair | None = None
    """Rows and columns that count for a mean, from the image's first on to the end of the padding, which then counts
    before the image too; None where only pixels do."""


class Pool(Layer):
    """A window that slides over each channel separately; a subclass says what it computes from the pixels in it."""

    kind = "pool"
    mean: ClassVar[bool] = False
    """The result is a mean, else a maximum."""

    def window_for(self, shape: Shape) -> Window:
        """The window over an image of this shape."""
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """floor((n + p_before + p_after - f) / s) + 1 rows and columns; the channels stay (notes: 'Summary of
        pooling'). Raises SizeProblem for what is no image, and as `pooled` does."""
        require_image(inputs[0], self.kind)
        return self.pooled(inputs[0])

    def pooled(self, image: Shape) -> Shape:
        """(rows, columns, channels) of the result. Raises SizeProblem if the window does not fit, or could hold only
        padding."""
        window = self.window_for(image)
        rows, columns = window.slide(image, self.kind)
        for axis in (0, 1):
            if max(window.padding(axis, image[axis])) >= window.size[axis]:
                raise SizeProblem("the padding is as large as the window: some windows would hold no pixel",
                                  notes=("help: pad must be smaller than size",), argument="pad")  # fmt: skip
        return (rows, columns, image[2])

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula, as `Window.describe` gives it."""
        return self.window_for(as_image(inputs[0])).describe(inputs[0])

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows and columns at the edge that no window covers, in words."""
        return unreached(self.window_for(as_image(inputs[0])), inputs[0])

    @property
    def counts_padding(self) -> bool:
        """Whether padding counts for a mean."""
        return False

    def detail(self, site: Site) -> PoolDetail:
        """What the kernels need to know, for the site's input."""
        shape = as_image(site.input_shapes[0])
        window = self.window_for(shape)
        (top, bottom), (left, right) = (window.padding(axis, shape[axis]) for axis in (0, 1))
        counted = (shape[0] + bottom, shape[1] + right) if self.counts_padding else None
        return PoolDetail(shape, self.pooled(shape), window.size, window.stride, (top, left), counted)


class MaxPooling(Pool):
    """The maximum of each window; padding never wins. Ties go to the first pixel, row by row."""

    smooth = False

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, c] = max of the window's pixels; dy is added to the pixel that won (notes: 'Max Pooling - Backward
        Pass')."""
        x, window, rows, columns = _frame(self, xs[0])
        padded, inside = _padded(x, window, -np.inf)
        taps = window_taps(window, rows, columns)
        stacked = np.stack([padded[at] for _, _, at in taps])
        winner = stacked.argmax(axis=0)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(padded)
            for number, (_, _, at) in enumerate(taps):
                dx[at] += np.where(winner == number, dy, 0)
            return (dx[inside].reshape(xs[0].shape),), {}

        return _shaped(self, xs[0], stacked.max(axis=0), pull)

    def forward(self, site: Site) -> None:
        """One `maxpool`."""
        site.op("maxpool", "forward", site.x, (site.y,), self.detail(site))

    def backward(self, site: Site) -> None:
        """One `maxpool_gradient`, which finds the maximum in x again: no mask is stored."""
        if (dx := site.dx[0]) is not None:
            site.op("maxpool_gradient", "backward", (site.dy, site.x[0]), (dx,), self.detail(site))


class AveragePooling(Pool):
    """The mean of the pixels of each window; padding counts only where `counts_padding` says so."""

    mean = True

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, c] = sum of the window's pixels / their number; each of them gets dy / their number (notes:
        'Average Pooling - Backward Pass')."""
        x, window, rows, columns = _frame(self, xs[0])
        padded, inside = _padded(x, window, 0.0)
        if self.counts_padding:
            whole, _ = pad_image(x, window, 0.0)
            real = np.zeros_like(padded)
            real[:, : whole.shape[1], : whole.shape[2]] = 1
        else:
            real, _ = _padded(np.ones_like(x), window, 0.0)
        taps = window_taps(window, rows, columns)
        count = sum(real[at] for _, _, at in taps)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(padded)
            for _, _, at in taps:
                dx[at] += dy / count
            return (dx[inside].reshape(xs[0].shape),), {}

        return _shaped(self, xs[0], np.stack([padded[at] for _, _, at in taps]).sum(axis=0) / count, pull)

    def forward(self, site: Site) -> None:
        """One `avgpool`."""
        site.op("avgpool", "forward", site.x, (site.y,), self.detail(site))

    def backward(self, site: Site) -> None:
        """One `avgpool_gradient`, which reads only dy."""
        if (dx := site.dx[0]) is not None:
            site.op("avgpool_gradient", "backward", (site.dy,), (dx,), self.detail(site))


def _frame(layer: Pool, x: Array) -> tuple[Array, Window, int, int]:
    """x as images, the window over them, and the rows and columns of the result."""
    shape = as_image(x.shape[1:])
    rows, columns, _ = layer.pooled(shape)
    return x.reshape(len(x), *shape), layer.window_for(shape), rows, columns


def _padded(x: Array, window: Window, fill: float) -> tuple[Array, tuple[slice, ...]]:
    """As `pad_image`, and padded further to where the last windows of `ceil` end."""
    padded, inside = pad_image(x, window, fill)
    ends = ((window.output(a, x.shape[a + 1]) - 1) * window.stride[a] + window.extent(a) for a in (0, 1))
    more = [(0, max(0, end - n)) for end, n in zip(ends, padded.shape[1:3], strict=True)]
    return np.pad(padded, [(0, 0), *more, (0, 0)], constant_values=fill), inside


def _shaped(layer: Pool, x: Array, y: Array, pull: Pull) -> Reference:
    """The result in the layer's own shape, such as the vector of a global pooling."""
    shape = layer.infer((tuple(x.shape[1:]),))
    return Reference(y.reshape(len(x), *shape), lambda dy: pull(dy.reshape(y.shape)))


@dataclass(frozen=True)
class Global(Pool):
    """A window as large as the image or the sequence, whose result is a vector with one number for each channel; with
    `keep` an image of one pixel, or a sequence of one step. With a second value, `lengths`, over so many steps of each
    example; of none the result is 0."""

    keep: Flag = False

    takes = ("lengths",)

    def window_for(self, shape: Shape) -> Window:
        """A window of height x width."""
        return Window((shape[0], shape[1]))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (c,), or (1, 1, c) with `keep`; (t, c) likewise, or (1, c). Raises SizeProblem for a
        vector."""
        require_places(inputs[0], "a global pooling")
        if len(inputs) > 1:
            require_sequence(inputs[0], "lengths")
            require_lengths(inputs[1:])
        *places, channels = inputs[0]
        return (*(1 for _ in places), channels) if self.keep else (channels,)

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """Lengths go from 0 to the number of steps."""
        return {1: (0, inputs[0][0])} if len(inputs) > 1 else {}

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """Of a window over all places, or over the first steps."""
        if len(xs) == 1:
            return super().reference(xs, p, mode)
        y, pull = pooled_steps(xs[0], xs[1], self.mean)
        return Reference(y[:, None] if self.keep else y, lambda dy: pull(dy.reshape(y.shape)))

    def forward(self, site: Site) -> None:
        """As a pooling with a window, or one `steps_pool`."""
        super().forward(site) if len(site.x) == 1 else pool_steps(site, self.mean)

    def backward(self, site: Site) -> None:
        """As a pooling with a window, or one `steps_pool_gradient`."""
        super().backward(site) if len(site.x) == 1 else pool_steps_back(site, self.mean)


@dataclass(frozen=True)
class WindowedSteps(Pool):
    """The arguments of a pooling layer over the steps of a sequence; the stride is the size of the window unless
    given."""

    size: Count
    stride: Annotated[int | None, Whole()] = None
    pad: StepPadding = 0
    ceil: Flag = False

    kind = "pool"

    def window_for(self, shape: Shape) -> Window:
        """The window over the only row of an image."""
        return steps_window(self.size, self.stride or self.size, self.pad, 1, self.ceil)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """floor((n + p_before + p_after - f) / s) + 1 steps; the channels stay. Raises SizeProblem for what is no
        sequence, and if the window does not fit or could hold only padding."""
        require_sequence(inputs[0], self.kind)
        window = self.window_for(as_image(inputs[0]))
        window.slide(inputs[0], self.kind)
        return self.pooled(as_image(inputs[0]))[1:]


@dataclass(frozen=True)
class Windowed:
    """The arguments of a pooling layer with a window; the stride is the size of the window unless given. With `ceil` a
    window may reach beyond the edge."""

    size: Size
    stride: Annotated[Pair | None, HeightWidth()] = None
    pad: Padding = (0, 0)
    ceil: Flag = False

    def window_for(self, shape: Shape) -> Window:
        """The same window for images of every shape."""
        return Window(self.size, self.stride or self.size, self.pad, ceil=self.ceil)
