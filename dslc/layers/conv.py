"""conv: filters slide over an image (notes: 'Convolutions over volumes', 'Convolutional Layer Backward Pass')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Count, Flag, Padding, Size
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._bias import bias_gradient
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, Window, as_image, require_image


@dataclass(frozen=True)
class ConvDetail:
    """What the kernels need to know: the sizes of the images, the window with its padding (above and on the left) as
    numbers, and the groups."""

    input: Shape
    output: Shape
    size: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def require_groups(groups: int, channels: int, filters: int) -> None:
    """Raises SizeProblem if the groups do not divide both the channels of the input and the filters."""
    for name, count in (("channels of the input", channels), ("filters", filters)):
        if count % groups:
            raise SizeProblem(
                f"the {count} {name} cannot be divided into {groups} groups", argument="groups",
                notes=(f"help: groups must divide both {channels} channels and {filters} filters",),
            )  # fmt: skip


@dataclass(frozen=True)
class Conv(Layer):
    """Cross-correlation with weights (f_h, f_w, channels / groups, filters), which the notes call convolution (notes:
    'Convolutions over volumes')."""

    filters: Count
    size: Size
    stride: Size = (1, 1)
    pad: Padding = "valid"
    dilation: Size = (1, 1)
    groups: Count = 1
    bias: Flag = True

    examples = (
        Example("conv(3, 3x3)", ((5, 7, 2),)),
        Example("conv(6, 5x5, pad=same)", ((8, 8, 1),)),
        Example("conv(4, 3x2, stride=2x3, pad=1)", ((7, 9, 3),)),
        Example("conv(4, 3x3, dilation=2, pad=same, groups=2, bias=off)", ((6, 5, 6),)),
        Example("conv(17, 1x1)", ((3, 3, 17),)),
        Example("conv(6, 4x4, stride=3, pad=same, groups=3)", ((13, 13, 3),)),
        Example("conv(17, 3x3, groups=17, pad=same)", ((5, 7, 17),)),
        Example("conv(5, 5x3, groups=5, stride=2x1, bias=off)", ((9, 6, 5),)),
        Example("conv(33, 3x3, groups=33, dilation=2, pad=2)", ((7, 6, 33),)),
        Example("conv(3, 1x1, stride=3, pad=0x1)", ((4, 4, 3),)),  # as wide as the image, and begins outside of it
        Example("conv(17, 1x1, groups=17, stride=3, pad=1)", ((4, 4, 17),)),
        Example("conv(5, 3x3, stride=4, pad=1)", ((7, 7, 4),)),
        Example("conv(3, 1x1, stride=3, pad=0x1, groups=3)", ((1, 4, 3),)),
    )

    @property
    def window(self) -> Window:
        """The filter as a window: size, stride, padding and dilation."""
        return Window(self.size, self.stride, self.pad, self.dilation)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """floor((n + p_before + p_after - extent) / s) + 1 rows and columns, one channel for each filter (notes:
        'Strided convolution'). Raises SizeProblem if the filter is too large or the groups do not divide channels and
        filters."""
        require_image(inputs[0], "conv")
        rows, columns = self.window.slide(inputs[0], "conv")
        require_groups(self.groups, inputs[0][2], self.filters)
        return (rows, columns, self.filters)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the rows, and for the columns if they differ."""
        return self.window.describe(inputs[0])

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows and columns at the edge that no window covers, in words."""
        return unreached(self.window, inputs[0])

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (f_h, f_w, channels / groups, filters), and bias (filters,) unless bias=off."""
        shape = (*self.size, inputs[0][2] // self.groups, self.filters)
        area = self.size[0] * self.size[1]
        fan_out = area * self.filters // self.groups
        weight = Weights("weight", shape, decays=True, fan_in=area * shape[2], fan_out=fan_out, units=3)
        return (weight, Weights("bias", (self.filters,), "zeros")) if self.bias else (weight,)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """rows * columns * filters * f_h * f_w * channels / groups."""
        rows, columns, filters = self.infer(inputs)
        return rows * columns * filters * self.size[0] * self.size[1] * inputs[0][2] // self.groups

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, i, j, k] = b[k] + sum over r, s, c of x_pad[n, i * s_h + r * d_h, j * s_w + s * d_w, c] * W[r, s, c, k]
        (notes: 'Convolutions over volumes').

        dx adds W * dy to every pixel that a window covers, dW sums x_pad * dy over examples and pixels, db sums dy
        (notes: 'Convolutional Layer Backward Pass').
        """
        padded, inside = pad_image(xs[0], self.window, 0.0)
        w = p["weight"]
        rows, columns, _ = self.infer((xs[0].shape[1:],))
        y = np.zeros((len(padded), rows, columns, self.filters), padded.dtype)
        taps = list(window_taps(self.window, rows, columns))
        groups = list(self._group_slices(w.shape[2]))
        for r, s, at in taps:
            for c, k in groups:
                y[..., k] += padded[at][..., c] @ w[r, s][:, k]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx, dw = np.zeros_like(padded), np.zeros_like(w)
            for r, s, at in taps:
                for c, k in groups:
                    dx[at][..., c] += dy[..., k] @ w[r, s][:, k].T
                    dw[r, s][:, k] += np.tensordot(padded[at][..., c], dy[..., k], ([0, 1, 2], [0, 1, 2]))
            return (dx[inside],), {"weight": dw, "bias": dy.sum(axis=(0, 1, 2))}

        return Reference(y + p.get("bias", 0), pull)

    def _group_slices(self, channels: int) -> list[tuple[slice, slice]]:
        filters = self.filters // self.groups
        return [
            (slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)) for g in range(self.groups)
        ]

    def forward(self, site: Site) -> None:
        """One `conv_forward` with weight and bias."""
        convolve(site, self._detail(site), self._work(site))

    def backward(self, site: Site) -> None:
        """dx by `conv_input_gradient`, dW by `conv_weight_gradient`, and db by `channel_sum`."""
        convolve_back(site, self._detail(site), self._work(site))

    def _work(self, site: Site) -> int:
        return self.multiply_adds((as_image(site.input_shapes[0]),))

    def _detail(self, site: Site) -> ConvDetail:
        shape = as_image(site.input_shapes[0])
        before = (self.window.padding(0, shape[0])[0], self.window.padding(1, shape[1])[0])
        return ConvDetail(shape, as_image(site.y.shape), self.size, self.stride, before, self.dilation, self.groups)


def convolve(site: Site, detail: ConvDetail, multiply_adds: int) -> None:
    """Emits the convolution of the site's input with its weight, and its bias where it has one."""
    reads = (*site.x, site.parameter("weight"), site.parameter("bias"))
    site.op("conv_forward", "forward", reads, (site.y,), detail, multiply_adds)


def convolve_back(site: Site, detail: ConvDetail, multiply_adds: int) -> None:
    """Emits the gradients of what `convolve` computes."""
    if (dx := site.dx[0]) is not None:
        reads = (site.dy, site.parameter("weight"))
        site.op("conv_input_gradient", "backward_input", reads, (dx,), detail, multiply_adds)
    if (dw := site.gradient("weight")) is not None:
        site.op("conv_weight_gradient", "backward_weight", (site.x[0], site.dy), (dw,), detail, multiply_adds)
    bias_gradient(site)


def unreached(window: Window, shape: Shape) -> str:
    """Which rows and columns at the edge the stride skips, in words, such as '1 row and 2 columns', or which steps."""
    if len(shape) == 2:
        skipped = [(window.unreached(1, shape[0]), "step")]
    else:
        skipped = [(window.unreached(0, shape[0]), "row"), (window.unreached(1, shape[1]), "column")]
    return " and ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in skipped if n)


def pad_image(x: Array, window: Window, fill: float) -> tuple[Array, tuple[slice, ...]]:
    """For references: the images (n, h, w, c) padded with `fill`, and the slices of the result that hold the images."""
    pads = [window.padding(0, x.shape[1]), window.padding(1, x.shape[2])]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    (top, _), (left, _) = pads
    return padded, (slice(None), slice(top, top + x.shape[1]), slice(left, left + x.shape[2]))


def window_taps(window: Window, rows: int, columns: int) -> list[tuple[int, int, tuple[slice, ...]]]:
    """For references: for each position (r, s) in the window, the slices of the padded images that it is multiplied
    with."""

    def along(axis: int, tap: int, count: int) -> slice:
        start, step = tap * window.dilation[axis], window.stride[axis]
        return slice(start, start + (count - 1) * step + 1, step)

    return [
        (r, s, (slice(None), along(0, r, rows), along(1, s, columns)))
        for r in range(window.size[0])
        for s in range(window.size[1])
    ]
