"""The common part of the four pooling layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Flag, HeightWidth, Padding, Size
from dslc.layers import Layer, Mode, Pull, Reference
from dslc.layers.conv import pad_image, unreached, window_taps
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Pair, Shape, SizeProblem, Window, require_image


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

    def window_for(self, shape: Shape) -> Window:
        """The window over an image of this shape."""
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """floor((n + p_before + p_after - f) / s) + 1 rows and columns; the channels stay (notes: 'Summary of
        pooling')."""
        return self.pooled(inputs)

    def pooled(self, inputs: tuple[Shape, ...]) -> Shape:
        """(rows, columns, channels) of the result. Raises SizeProblem if the window does not fit, or could hold only
        padding."""
        require_image(inputs[0], self.kind)
        window = self.window_for(inputs[0])
        rows, columns = window.slide(inputs[0], self.kind)
        for axis in (0, 1):
            if max(window.padding(axis, inputs[0][axis])) >= window.size[axis]:
                raise SizeProblem("the padding is as large as the window: some windows would hold no pixel",
                                  notes=("help: pad must be smaller than size",), argument="pad")  # fmt: skip
        return (rows, columns, inputs[0][2])

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the rows, and for the columns if they differ."""
        return self.window_for(inputs[0]).describe(inputs[0])

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows and columns at the edge that no window covers, in words."""
        return unreached(self.window_for(inputs[0]), inputs[0])

    @property
    def counts_padding(self) -> bool:
        """Whether padding counts for a mean."""
        return False

    def detail(self, site: Site) -> PoolDetail:
        """What the kernels need to know, for the site's input."""
        shape = site.input_shapes[0]
        window = self.window_for(shape)
        (top, bottom), (left, right) = (window.padding(axis, shape[axis]) for axis in (0, 1))
        counted = (shape[0] + bottom, shape[1] + right) if self.counts_padding else None
        return PoolDetail(shape, self.pooled((shape,)), window.size, window.stride, (top, left), counted)


class MaxPooling(Pool):
    """The maximum of each window; padding never wins. Ties go to the first pixel, row by row."""

    smooth = False

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, c] = max of the window's pixels; dy is added to the pixel that won (notes: 'Max Pooling - Backward
        Pass')."""
        window, rows, columns = _frame(self, xs[0])
        padded, inside = _padded(xs[0], window, -np.inf)
        taps = window_taps(window, rows, columns)
        stacked = np.stack([padded[at] for _, _, at in taps])
        winner = stacked.argmax(axis=0)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(padded)
            for number, (_, _, at) in enumerate(taps):
                dx[at] += np.where(winner == number, dy, 0)
            return (dx[inside],), {}

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

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, c] = sum of the window's pixels / their number; each of them gets dy / their number (notes:
        'Average Pooling - Backward Pass')."""
        window, rows, columns = _frame(self, xs[0])
        padded, inside = _padded(xs[0], window, 0.0)
        if self.counts_padding:
            whole, _ = pad_image(xs[0], window, 0.0)
            real = np.zeros_like(padded)
            real[:, : whole.shape[1], : whole.shape[2]] = 1
        else:
            real, _ = _padded(np.ones_like(xs[0]), window, 0.0)
        taps = window_taps(window, rows, columns)
        count = sum(real[at] for _, _, at in taps)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(padded)
            for _, _, at in taps:
                dx[at] += dy / count
            return (dx[inside],), {}

        return _shaped(self, xs[0], np.stack([padded[at] for _, _, at in taps]).sum(axis=0) / count, pull)

    def forward(self, site: Site) -> None:
        """One `avgpool`."""
        site.op("avgpool", "forward", site.x, (site.y,), self.detail(site))

    def backward(self, site: Site) -> None:
        """One `avgpool_gradient`, which reads only dy."""
        if (dx := site.dx[0]) is not None:
            site.op("avgpool_gradient", "backward", (site.dy,), (dx,), self.detail(site))


def _frame(layer: Pool, x: Array) -> tuple[Window, int, int]:
    shape = tuple(x.shape[1:])
    rows, columns, _ = layer.pooled((shape,))
    return layer.window_for(shape), rows, columns


def _padded(x: Array, window: Window, fill: float) -> tuple[Array, tuple[slice, ...]]:
    """As `pad_image`, and padded further to where the last windows of `ceil` end."""
    padded, inside = pad_image(x, window, fill)
    ends = ((window.output(a, x.shape[a + 1]) - 1) * window.stride[a] + window.extent(a) for a in (0, 1))
    more = [(0, max(0, end - n)) for end, n in zip(ends, padded.shape[1:3], strict=True)]
    return np.pad(padded, [(0, 0), *more, (0, 0)], constant_values=fill), inside


def _shaped(layer: Pool, x: Array, y: Array, pull: Pull) -> Reference:
    """The result in the layer's own shape: a global pooling gives a vector."""
    shape = layer.infer((tuple(x.shape[1:]),))
    return Reference(y.reshape(len(x), *shape), lambda dy: pull(dy.reshape(y.shape)))


@dataclass(frozen=True)
class Global:
    """A window as large as the image, whose result is a vector with one number for each channel; with `keep` an image
    of one pixel."""

    keep: Flag = False

    def window_for(self, shape: Shape) -> Window:
        """A window of height x width."""
        return Window((shape[0], shape[1]))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (c,), or (1, 1, c) with `keep`. Raises SizeProblem for a vector."""
        require_image(inputs[0], "a global pooling")
        return (1, 1, inputs[0][2]) if self.keep else (inputs[0][2],)


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
