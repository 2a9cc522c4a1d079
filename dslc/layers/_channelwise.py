"""Layers with one learned factor a channel: a formula in the number x and the channel's factor w."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.inits.constant import Constant
from dslc.layers import Layer, Mode, Reference, Weights, X
from dslc.lowering.site import Site
from dslc.numerics import Array
from dslc.operation import Tensor
from dslc.scalar import Scalar, variable
from dslc.shape import Shape

W = variable("w")


@dataclass(frozen=True)
class ChannelMapDetail:
    """A formula for every element. In `channel_map` it is the result, in x and in w, the factor of the channel; in
    `channel_map_gradient` dx / dy in x and w; in `channel_map_sums` dy / dw in x."""

    formula: Scalar


class Channelwise(Layer):
    """y = f(x, w) with a w for each channel; of a vector, for each number. A subclass gives f, its derivatives, and its
    NumPy reference."""

    role = "weight"
    """The parameter's name behind that of the layer."""

    def value(self) -> Scalar:
        """y as a formula in X and W."""
        raise NotImplementedError

    def derivative(self) -> Scalar:
        """dy/dx as a formula in X and W, or in W alone."""
        raise NotImplementedError

    def factor_derivative(self) -> Scalar:
        """dy/dw as a formula in X."""
        raise NotImplementedError

    def start(self) -> float:
        """Every factor before training."""
        raise NotImplementedError

    def curve(self, x: Array, w: Array) -> tuple[Array, Array, Array]:
        """For the reference: y, dy/dx and dy/dw in NumPy for x (n, ..., channels) and w (channels,)."""
        raise NotImplementedError

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """One factor a channel (channels,), to which no regularizer applies."""
        return (Weights(self.role, inputs[0][-1:], Constant(self.start())),)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = f(x, w); dx = dy * df/dx; dw = the sum over examples and pixels of dy * df/dw."""
        y, along_x, along_w = self.curve(xs[0], p[self.role])
        axes = tuple(range(xs[0].ndim - 1))
        return Reference(y, lambda dy: ((dy * along_x,), {self.role: (dy * along_w).sum(axis=axes)}))

    def forward(self, site: Site) -> None:
        """One `channel_map`."""
        self._map(site, "forward", site.x[0], site.y, self.value())

    def backward(self, site: Site) -> None:
        """dx by `channel_map_gradient`, or by `channel_map` where dy/dx does not depend on x; dw by `channel_map_sums`,
        in chunks where there are many pixels."""
        slope = self.derivative()
        if (dx := site.dx[0]) is not None and site.dy is not None:
            if slope.reads("x"):
                reads = (site.dy, site.x[0], site.parameter(self.role))
                site.op("channel_map_gradient", "backward_input", reads, (dx,), ChannelMapDetail(slope))
            else:
                self._map(site, "backward_input", site.dy, dx, X * slope)
        if (dw := site.gradient(self.role)) is not None:
            chunks = site.chunks(f"{self.role}_chunks", dw.shape)
            detail = ChannelMapDetail(self.factor_derivative())
            site.op("channel_map_sums", "backward_factor", (site.dy, site.x[0]), (chunks or dw,), detail)
            if chunks is not None:
                site.op("chunk_sum", "merge_factor", (chunks,), (dw,))

    def _map(self, site: Site, job: str, x: Tensor, y: Tensor, formula: Scalar) -> None:
        site.op("channel_map", job, (x, site.parameter(self.role)), (y,), ChannelMapDetail(formula))
