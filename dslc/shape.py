"""Shapes, and the size formulas of convolution and pooling (notes: 'Strided convolution', 'Summary of pooling')."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
"""Size of one example: `(features,)`, `(steps, channels)` of a sequence or `(height, width, channels)` of an image."""
Pair = tuple[int, int]
"""(vertical, horizontal)."""
Sides = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""


def show_shape(shape: Shape) -> str:
    """A shape as the language writes it: `28x28x1`."""
    return "x".join(str(n) for n in shape)


class SizeProblem(Exception):
    """Sizes that do not fit. `argument` names the argument to underline, None the whole call."""

    def __init__(self, title: str, label: str = "", notes: tuple[str, ...] = (), argument: str | None = None) -> None:
        super().__init__(title)
        self.title, self.label, self.notes, self.argument = title, label, notes, argument


@dataclass(frozen=True)
class Window:
    """A filter that slides over rows and columns; every pair is (vertical, horizontal)."""

    size: Pair
    stride: Pair = (1, 1)
    pad: str | Pair | Sides = "valid"
    dilation: Pair = (1, 1)
    ceil: bool = False
    """Whether a last window that reaches beyond the padding counts, as long as it begins inside of it."""

    def extent(self, axis: int) -> int:
        """Rows or columns that a dilated filter spans: dilation * (f - 1) + 1."""
        return self.dilation[axis] * (self.size[axis] - 1) + 1

    def padding(self, axis: int, n: int) -> Pair:
        """Rows or columns added before and after n of them. With `same` the output has ceil(n / s) of them; if the
        total is odd, the extra one goes to the bottom or the right, as in TensorFlow."""
        if self.pad == "valid":
            return (0, 0)
        if isinstance(self.pad, tuple):
            pad = self.pad[axis]
            return pad if isinstance(pad, tuple) else (pad, pad)
        total = max(0, (-(-n // self.stride[axis]) - 1) * self.stride[axis] + self.extent(axis) - n)
        return (total // 2, total - total // 2)

    def output(self, axis: int, n: int) -> int:
        """Output rows or columns: floor((n + p_before + p_after - extent) / s) + 1 (notes: 'Strided convolution'); with
        `ceil` rounded up, but for a window that would begin in the padding behind the image, as in PyTorch."""
        before, after = self.padding(axis, n)
        room, step = n + before + after - self.extent(axis), self.stride[axis]
        if not self.ceil or room < 0 or room % step == 0:
            return room // step + 1
        return room // step + 1 + ((room // step + 1) * step < n + before)

    def unreached(self, axis: int, n: int) -> int:
        """Rows or columns at the far edge that no position of the window covers, because of the stride. None where it
        strides over others as well, as 1x1 with a stride of 2 does on purpose."""
        if self.extent(axis) < self.stride[axis]:
            return 0
        before, after = self.padding(axis, n)
        last = (self.output(axis, n) - 1) * self.stride[axis] - before + self.extent(axis)
        return max(0, min(n, n + after - before) - last) if last < n else 0

    def formula(self, axis: int, n: int) -> str:
        """The formula with its numbers: `floor((28 + 4 - 5) / 1) + 1 = 28`."""
        pad, step = sum(self.padding(axis, n)), self.stride[axis]
        rounded = "ceil" if self.ceil else "floor"
        return f"{rounded}(({n} + {pad} - {self.extent(axis)}) / {step}) + 1 = {self.output(axis, n)}"

    def describe(self, shape: Shape) -> str:
        """The formula for an image; both axes, separated by a semicolon, if they differ; for a sequence that of the
        steps."""
        if len(shape) == 2:
            return self.formula(1, shape[0])
        rows, columns = self.formula(0, shape[0]), self.formula(1, shape[1])
        return rows if rows == columns else f"{rows}; {columns}"

    def slide(self, shape: Shape, what: str) -> Pair:
        """Output rows and columns over an image, or over a sequence, which is one of a single row.

        Raises:
            SizeProblem: the window is larger than the padded image.
        """
        image = as_image(shape)
        for axis in (0, 1):
            if self.output(axis, image[axis]) < 1:
                raise self._too_many_steps(shape, what) if len(shape) == 2 else self._too_large(shape, axis, what)
        return self.output(0, image[0]), self.output(1, image[1])

    def _too_many_steps(self, shape: Shape, what: str) -> SizeProblem:
        spans = f"{self.size[1]}" if self.dilation[1] == 1 else f"{self.size[1]} dilated by {self.dilation[1]}"
        noun = "filter" if what.startswith("conv") else "window"
        most = (shape[0] + sum(self.padding(1, shape[0])) - 1) // self.dilation[1] + 1
        return SizeProblem(
            f"the {noun} is larger than its input",
            f"{spans} needs at least {self.extent(1)} steps; the input here is {show_shape(shape)}",
            (
                f"size: floor((n + 2p - f) / s) + 1 = {self.formula(1, shape[0])}",
                f"help: use a {noun} of at most {most} steps, or pad",
            ),
            "size",
        )

    def _too_large(self, shape: Shape, axis: int, what: str) -> SizeProblem:
        n, extent = shape[axis], self.extent(axis)
        spans = f"{extent}" if self.dilation[axis] == 1 else f"{self.size[axis]} dilated by {self.dilation[axis]}"
        noun = "filter" if what == "conv" else "window"
        alike = self.size[0] == self.size[1] and self.dilation[0] == self.dilation[1]
        lines = "rows and columns" if alike else ("rows", "columns")[axis]
        rows, columns = ((shape[a] + sum(self.padding(a, shape[a])) - 1) // self.dilation[a] + 1 for a in (0, 1))
        missing = max(self.extent(a) - shape[a] for a in (0, 1))
        instead = " instead" if isinstance(self.pad, tuple) and any(self.padding(axis, n)) else ""
        return SizeProblem(
            f"the {noun} is larger than its input",
            f"{spans} needs at least {extent} {lines}; the input here is {show_shape(shape)}",
            (
                f"size: floor((n + 2p - f) / s) + 1 = {self.formula(axis, n)}",
                f"help: use a {noun} of at most {rows}x{columns}, or pad={-(-missing // 2)}{instead}",
            ),
            "size",
        )


def steps_window(size: int, stride: int, pad: str | int | Pair, dilation: int = 1, ceil: bool = False) -> Window:
    """The window over the steps of a sequence, which is an image of one row. `causal` pads only in front, so that no
    result depends on a later step."""
    if pad == "causal":
        pad = (dilation * (size - 1), 0)
    elif isinstance(pad, int):
        pad = (pad, pad)
    return Window((1, size), (1, stride), pad if isinstance(pad, str) else ((0, 0), pad), (1, dilation), ceil)


def describe(shape: Shape) -> str:
    """A shape in words: `a vector of 5 features`, `a sequence of 28 steps with 5 channels`, `an image of 28x28x1`."""
    if len(shape) == 1:
        return f"a vector of {shape[0]} features"
    if len(shape) == 2:
        return f"a sequence of {shape[0]} steps with {shape[1]} channels"
    return f"an image of {show_shape(shape)}"


def as_image(shape: Shape) -> Shape:
    """A sequence (T, C) as the image of one row that it is for kernels, (1, T, C); other shapes as they are."""
    return (1, *shape) if len(shape) == 2 else shape


def require_image(shape: Shape, what: str) -> None:
    """Raises SizeProblem for a shape that is not (height, width, channels); `what` names the layer."""
    if len(shape) == 2:
        instead = f"; over sequences goes {what}1d" if what in ("conv", "maxpool", "avgpool") else ""
        raise SizeProblem(
            f"{what} needs an image, but its input is {describe(shape)}",
            notes=(f"help: an image of one channel is {show_shape(shape)}x1{instead}",),
        )
    if len(shape) != 3:
        raise SizeProblem(
            f"{what} needs an image, but its input is {describe(shape)}",
            notes=("help: move it before flatten, or declare the input as HxWxC, or use reshape(HxWxC) first",),
        )


def require_places(shape: Shape, what: str) -> None:
    """Raises SizeProblem for a vector, which has neither steps nor pixels; `what` names the layer."""
    if len(shape) == 1:
        raise SizeProblem(
            f"{what} needs an image or a sequence, but its input is {describe(shape)}",
            notes=("help: move it before flatten, or declare the input as HxWxC or TxC, or reshape it first",),
        )


def require_sequence(shape: Shape, what: str) -> None:
    """Raises SizeProblem for a shape that is not (steps, channels); `what` names the layer."""
    if len(shape) == 2:
        return
    help_ = "declare the input as TxC, T steps of C channels, or use reshape(TxC) first"
    if len(shape) == 3 and what.endswith("1d"):
        help_ = f"over images goes {what.removesuffix('1d')}"
    raise SizeProblem(f"{what} needs a sequence, but its input is {describe(shape)}", notes=(f"help: {help_}",))
