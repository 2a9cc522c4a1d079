"""log_softmax: the logarithm of softmax over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class LogSoftmax(Layer):
    """x - log(sum exp(x)) over the last axis: logarithms of probabilities, without the underflow of log(softmax)."""

    suits = "glorot"
    examples = (
        Example("log_softmax", ((7,),)),
        Example("log_softmax", ((2, 3, 5),)),
        Example("log_softmax", ((130,),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = (x - max x) - log(sum exp(x - max x)) over the last axis; dx = dy - e^y * sum(dy)."""
        shifted = xs[0] - xs[0].max(axis=-1, keepdims=True)
        y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return Reference(y, lambda dy: ((dy - np.exp(y) * dy.sum(axis=-1, keepdims=True),), {}))

    def forward(self, site: Site) -> None:
        """One `log_softmax`."""
        site.op("log_softmax", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """One `log_softmax_gradient` from dy and y."""
        if (dx := site.dx[0]) is not None:
            site.op("log_softmax_gradient", "backward", (site.dy, site.y), (dx,))
