"""softmax: exp(x) / sum exp(x) over the last axis (notes: 'Softmax regression')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class Softmax(Layer):
    """Probabilities that add up to 1 over the last axis."""

    suits = "glorot"
    examples = (Example("softmax", ((7,),)), Example("softmax", ((2, 3, 5),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = exp(x - max x) / sum exp(x - max x) over the last axis; dx = y * (dy - sum(dy * y))."""
        e = np.exp(xs[0] - xs[0].max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return Reference(y, lambda dy: ((y * (dy - (dy * y).sum(axis=-1, keepdims=True)),), {}))

    def forward(self, site: Site) -> None:
        """One `softmax`."""
        site.op("softmax", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """One `softmax_gradient` from dy and y. A head with cross_entropy needs none: its loss is computed from the
        logits."""
        if (dx := site.dx[0]) is not None:
            site.op("softmax_gradient", "backward", (site.dy, site.y), (dx,))
