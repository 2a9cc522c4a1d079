"""separable_conv: a depthwise convolution, then one of 1x1 (Chollet 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.language.arguments import Count, Flag, Padding, Size
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers.conv import Conv
from dslc.layers.depthwise import Depthwise
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import Tensor
from dslc.shape import Shape

PARTS = ("depthwise", "pointwise")


@dataclass(frozen=True)
class SeparableConv(Layer):
    """A `depthwise` without a bias, then a `conv` of 1x1, with nothing between them."""

    filters: Count
    size: Size
    stride: Size = (1, 1)
    pad: Padding = "valid"
    dilation: Size = (1, 1)
    multiplier: Count = 1
    bias: Flag = True

    examples = (
        Example("separable_conv(4, 3x3, pad=same)", ((5, 6, 7),)),
        Example("separable_conv(17, 3x2, stride=2, pad=1, multiplier=2, bias=off)", ((6, 7, 3),)),
    )

    @property
    def depthwise(self) -> Depthwise:
        """The first part."""
        return Depthwise(self.size, self.stride, self.pad, self.dilation, self.multiplier, bias=False)

    @property
    def pointwise(self) -> Conv:
        """The second part."""
        return Conv(self.filters, (1, 1), bias=self.bias)

    def _between(self, inputs: tuple[Shape, ...]) -> tuple[Shape]:
        return (self.depthwise.infer(inputs),)

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Rows and columns as of `conv`, a channel for each filter. Raises SizeProblem if the filter is too large."""
        return self.pointwise.infer(self._between(inputs))

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the rows, and for the columns if they differ."""
        return self.depthwise.formula(inputs)

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Rows and columns at the edge that no window covers, in words."""
        return self.depthwise.unreached(inputs)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """depthwise (f_h, f_w, 1, channels * multiplier), pointwise (1, 1, channels * multiplier, filters), and bias
        unless bias=off."""
        (depthwise,), (pointwise, *bias) = (
            self.depthwise.parameters(inputs),
            self.pointwise.parameters(self._between(inputs)),
        )
        return (replace(depthwise, role="depthwise"), replace(pointwise, role="pointwise"), *bias)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """Those of both parts."""
        return self.depthwise.multiply_adds(inputs) + self.pointwise.multiply_adds(self._between(inputs))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """The references of both parts, one after the other."""
        first = self.depthwise.reference(xs, {"weight": p["depthwise"]}, mode)
        second = self.pointwise.reference((first.y,), {**p, "weight": p["pointwise"]}, mode)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            (between,), found = second.pull(dy)
            dxs, own = first.pull(between)
            return dxs, {"depthwise": own["weight"], "pointwise": found["weight"], "bias": found["bias"]}

        return Reference(second.y, pull)

    def forward(self, site: Site) -> None:
        """The operations of both parts."""
        between = site.save("between", self._between(site.input_shapes)[0], batched=True)
        self.depthwise.forward(_part(site, "depthwise", y=between))
        self.pointwise.forward(_part(site, "pointwise", x=(between,)))

    def backward(self, site: Site) -> None:
        """The operations of both parts, the second first."""
        between = site.saved["between"]
        slope = Tensor(f"{between.name}_grad", between.shape)
        needed = site.dx[0] is not None or site.gradient("depthwise") is not None
        self.pointwise.backward(_part(site, "pointwise", x=(between,), dx=(slope if needed else None,)))
        if needed:
            self.depthwise.backward(_part(site, "depthwise", y=between, dy=slope))


def _part(site: Site, part: str, **changed: object) -> Site:
    """The site of one part: its weights, and the bias for the second."""

    def own(by_role: Mapping[str, Tensor]) -> dict[str, Tensor]:
        bias = {"bias": by_role["bias"]} if part == PARTS[1] and "bias" in by_role else {}
        return {**bias, **({"weight": by_role[part]} if part in by_role else {})}

    return replace(
        site,
        name=f"{site.name}_{part}",
        parameters=own(site.parameters),
        gradients=own(site.gradients),
        **changed,  # type: ignore[arg-type]
    )
