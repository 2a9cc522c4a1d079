"""conv1d: filters slide over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.language.arguments import Count, Flag, StepPadding
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers.conv import Conv, require_groups
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.shape import Shape, as_image, require_sequence, steps_window


@dataclass(frozen=True)
class Conv1d(Layer):
    """The convolution `conv` over a sequence, which is an image of one row, with weights (size, channels / groups,
    filters). With pad=causal no result depends on a later step (van den Oord et al. 2016)."""

    filters: Count
    size: Count
    stride: Count = 1
    pad: StepPadding = "valid"
    dilation: Count = 1
    groups: Count = 1
    bias: Flag = True

    examples = (
        Example("conv1d(5, 3, pad=causal, dilation=2)", ((9, 4),)),
        Example("conv1d(17, 4, stride=2, pad=same, bias=off)", ((11, 9),)),
        Example("conv1d(6, 3, pad=(2, 0), stride=3, groups=3)", ((8, 3),)),
    )

    @property
    def conv(self) -> Conv:
        """The convolution that it is over images of one row."""
        window = steps_window(self.size, self.stride, self.pad, self.dilation)
        return Conv(
            self.filters, window.size, window.stride, window.pad, window.dilation, self.groups, self.bias
        )  # fmt: skip

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """floor((n + p_before + p_after - extent) / s) + 1 steps, one channel for each filter. Raises SizeProblem for
        what is no sequence, if the filter is too large, and if the groups do not divide channels and filters."""
        require_sequence(inputs[0], "conv1d")
        _, steps = self.conv.window.slide(inputs[0], "conv1d")
        require_groups(self.groups, inputs[0][1], self.filters)
        return (steps, self.filters)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The size formula for the steps."""
        return self.conv.formula(inputs)

    def unreached(self, inputs: tuple[Shape, ...]) -> str:
        """Steps at the end that no window covers, in words."""
        return self.conv.unreached(inputs)

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (size, channels / groups, filters), and bias (filters,) unless bias=off."""
        weight, *bias = self.conv.parameters((as_image(inputs[0]),))
        return (replace(weight, shape=weight.shape[1:], units=2), *bias)

    def multiply_adds(self, inputs: tuple[Shape, ...]) -> int:
        """steps * filters * size * channels / groups."""
        return self.conv.multiply_adds((as_image(inputs[0]),))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[n, t, k] = b[k] + sum over r, c of x_pad[n, t * s + r * d, c] * W[r, c, k]: the reference of `conv` with
        an axis of one row."""
        found = self.conv.reference((xs[0][:, None],), {**p, "weight": p["weight"][None]}, mode)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            (dx,), gradients = found.pull(dy[:, None])
            return (dx[:, 0],), {**gradients, "weight": gradients["weight"][0]}

        return Reference(found.y[:, 0], pull)

    def forward(self, site: Site) -> None:
        """As `conv`."""
        self.conv.forward(site)

    def backward(self, site: Site) -> None:
        """As `conv`."""
        self.conv.backward(site)
