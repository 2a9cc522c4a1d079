"""depthwise: a convolution in which every channel has filters of its own (Howard et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Count, Flag, Padding, Size
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers.conv import Conv
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape, require_image


@dataclass(frozen=True)
class Depthwise(Layer):
    """A `conv` with as many groups as channels, and `multiplier` filters for each."""

    size: Size
    stride: Size = (1, 1)
    pad: Padding = "valid"
    dilation: Size = (1, 1)
    multiplier: Count = 1
    bias: Flag = True

    examples = (
        Example("depthwise(3x3, pad=same)", ((5, 6, 7),)),
        Example("depthwise(3x2, stride=2, pad=1, multiplier=2, bias=off)", ((6, 7, 3),)),
        Example("depthwise(3, dilation=2, pad=2)", ((5, 6, 17),)),
    )

    def conv(self, shape: Shape) -> Conv:
        """The convolution that it is for images of this shape. Raises SizeProblem for a vector."""
        require_image(shape, "depthwise")
        filters, groups = shape[2] * self.multiplier, shape[2]
        return Conv(filters, self.size, self.stride, self.pad, self.dilation, groups, self.bias)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Rows and columns as of `conv`, `multiplier` channels for each. Raises SizeProblem if the filter is too
        large."""
        return self.conv(inputs[0]).infer(inputs)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the rows, and for the columns if they differ."""
        return self.conv(inputs[0]).formula(inputs)

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows and columns at the edge that no window covers, in words."""
        return self.conv(inputs[0]).unreached(inputs)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (f_h, f_w, 1, channels * multiplier), and bias unless bias=off."""
        return self.conv(inputs[0]).parameters(inputs)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """rows * columns * filters * f_h * f_w."""
        return self.conv(inputs[0]).multiply_adds(inputs)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """The reference of `conv` with a group for each channel."""
        return self.conv(xs[0].shape[1:]).reference(xs, p, mode)

    def forward(self, site: Site) -> None:
        """As `conv`."""
        self.conv(site.input_shapes[0]).forward(site)

    def backward(self, site: Site) -> None:
        """As `conv`."""
        self.conv(site.input_shapes[0]).backward(site)
