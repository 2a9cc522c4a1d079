"""conv_transpose: the transpose of a convolution, which makes images larger (Zeiler et al. 2010)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Annotated

from dslc.language.arguments import Count, Flag, HeightWidth, Size
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._arithmetic import CombineDetail
from dslc.layers._bias import bias_gradient
from dslc.layers.conv import ConvDetail, require_groups
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.operation import Tensor
from dslc.scalar import variable
from dslc.shape import Pair, Shape, SizeProblem, require_image


@dataclass(frozen=True)
class ConvTranspose(Layer):
    """Every pixel adds its filters, `stride` apart; of the sum `pad` rows and columns are cut off on each side, except
    for `output_pad` below and on the right. It computes what the backward pass of such a `conv` does."""

    filters: Count
    size: Size
    stride: Size = (1, 1)
    pad: Annotated[Pair, HeightWidth(0)] = (0, 0)
    output_pad: Annotated[Pair, HeightWidth(0)] = (0, 0)
    dilation: Size = (1, 1)
    groups: Count = 1
    bias: Flag = True

    examples = (
        Example("conv_transpose(5, 3x3)", ((3, 4, 2),)),
        Example("conv_transpose(3, 4, stride=2, pad=1)", ((4, 3, 6),)),
        Example("conv_transpose(17, 3x2, stride=2x3, pad=1x0, output_pad=1x2)", ((3, 4, 5),)),
        Example("conv_transpose(4, 3, dilation=2, groups=2, bias=off)", ((4, 5, 6),)),
        Example("conv_transpose(6, 3, stride=2, groups=6)", ((3, 2, 6),)),
        Example("conv_transpose(33, 3, pad=1)", ((6, 7, 17),)),
        Example("conv_transpose(2, 1, stride=3)", ((2, 3, 4),)),
    )

    def _extent(self, axis: int, n: int) -> int:
        """(n - 1) * s - 2p + d * (f - 1) + 1 + output_pad."""
        reach = (n - 1) * self.stride[axis] + self.dilation[axis] * (self.size[axis] - 1) + 1
        return reach - 2 * self.pad[axis] + self.output_pad[axis]

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(n - 1) * s - 2p + d * (f - 1) + 1 + output_pad rows and columns, one channel for each filter. Raises
        SizeProblem if nothing is left, output_pad is not below the stride, or the groups do not divide."""
        require_image(inputs[0], "conv_transpose")
        rows, columns = (self._extent(axis, inputs[0][axis]) for axis in (0, 1))
        if min(rows, columns) < 1:
            raise SizeProblem(
                "the padding cuts everything off", argument="pad", notes=(f"size: {self.formula(inputs)}",)
            )
        if any(more >= step for more, step in zip(self.output_pad, self.stride, strict=True)):
            raise SizeProblem("output_pad must be smaller than the stride", argument="output_pad")
        require_groups(self.groups, inputs[0][2], self.filters)
        return (rows, columns, self.filters)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the rows, and for the columns if they differ."""
        lines = []
        for axis in (0, 1):
            n, s, d, f = inputs[0][axis], self.stride[axis], self.dilation[axis], self.size[axis]
            cut = f" - {2 * self.pad[axis]}" if self.pad[axis] else ""
            more = f" + {self.output_pad[axis]}" if self.output_pad[axis] else ""
            lines.append(f"({n} - 1) * {s} + {d * (f - 1) + 1}{cut}{more} = {self._extent(axis, n)}")
        return "; ".join(dict.fromkeys(lines))

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (f_h, f_w, filters / groups, channels), and bias (filters,) unless bias=off."""
        channels, area = inputs[0][2], prod(self.size)
        shape = (*self.size, self.filters // self.groups, channels)
        fan_in = max(1, area * channels // self.groups // prod(self.stride))
        weight = Weights("weight", shape, decays=True, fan_in=fan_in, fan_out=area * shape[2], units=3)
        return (weight, Weights("bias", (self.filters,), "zeros")) if self.bias else (weight,)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """Pixels of the input * f_h * f_w * channels * filters / groups."""
        return prod(inputs[0]) * prod(self.size) * self.filters // self.groups

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y_pad[n, i * s_h + r * d_h, j * s_w + s * d_w, k] gets x[n, i, j, c] * W[r, s, k, c], and y is y_pad without
        its padding, plus b. dx and dW are the sums over the same terms."""
        x, w = xs[0], p["weight"]
        rows, columns, _ = self.infer((x.shape[1:],))
        whole = tuple(max(n + p, (m - 1) * s + d * (f - 1) + 1 - p) for n, m, s, d, f, p in zip(
            (rows, columns), x.shape[1:3], self.stride, self.dilation, self.size, self.pad, strict=True))  # fmt: skip
        full = np.zeros((len(x), whole[0] + self.pad[0], whole[1] + self.pad[1], self.filters), x.dtype)
        inside = (slice(None), *(slice(p, p + n) for p, n in zip(self.pad, (rows, columns), strict=True)))
        taps = [(r, s, (slice(None), *(
            slice(t * d, t * d + (m - 1) * step + 1, step)
            for t, d, m, step in zip((r, s), self.dilation, x.shape[1:3], self.stride, strict=True)
        ))) for r in range(self.size[0]) for s in range(self.size[1])]  # fmt: skip
        few, many = x.shape[3] // self.groups, self.filters // self.groups
        groups = [(slice(g * few, (g + 1) * few), slice(g * many, (g + 1) * many)) for g in range(self.groups)]
        for r, s, at in taps:
            for c, k in groups:
                full[at][..., k] += x[..., c] @ w[r, s][:, c].T

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            padded, dx, dw = np.zeros_like(full), np.zeros_like(x), np.zeros_like(w)
            padded[inside] = dy
            for r, s, at in taps:
                for c, k in groups:
                    dx[..., c] += padded[at][..., k] @ w[r, s][:, c]
                    dw[r, s][:, c] += np.tensordot(padded[at][..., k], x[..., c], ([0, 1, 2], [0, 1, 2]))
            return (dx,), {"weight": dw, "bias": dy.sum(axis=(0, 1, 2))}

        return Reference(full[inside] + p.get("bias", 0), pull)

    def forward(self, site: Site) -> None:
        """One `conv_input_gradient`, whose dy is x; then the bias is added."""
        reads, bias = (site.x[0], site.parameter("weight")), site.parameter("bias")
        summed = site.y if bias is None else Tensor(f"{site.name}_summed", site.y.shape)
        site.op("conv_input_gradient", "forward", reads, (summed,), self._detail(site), self._work(site))
        if bias is not None:
            shape = site.y.shape
            seen = (shape, (1, 1, shape[2]), shape)
            detail = CombineDetail(variable("x1") + variable("x2"), ("x1", "x2"), shape, seen)
            site.op("combine", "add_bias", (summed, bias), (site.y,), detail)

    def backward(self, site: Site) -> None:
        """dx by `conv_forward`, dW by `conv_weight_gradient` with x and dy in each other's place, and db by
        `channel_sum`, in chunks where there are many pixels."""
        detail, work = self._detail(site), self._work(site)
        if (dx := site.dx[0]) is not None:
            site.op("conv_forward", "backward_input", (site.dy, site.parameter("weight")), (dx,), detail, work)
        if (dw := site.gradient("weight")) is not None:
            site.op("conv_weight_gradient", "backward_weight", (site.dy, site.x[0]), (dw,), detail, work)
        bias_gradient(site)

    def _detail(self, site: Site) -> ConvDetail:
        """The convolution from y to x."""
        shape = site.input_shapes[0]
        return ConvDetail(site.y.shape, shape, self.size, self.stride, self.pad, self.dilation, self.groups)

    def _work(self, site: Site) -> int:
        return self.multiply_adds(site.input_shapes)
