"""rmsnorm and l2_normalize: the numbers on the last axis, times one factor that depends on the sum of their squares."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Layer
from dslc.lowering.site import Site
from dslc.shape import Shape


@dataclass(frozen=True)
class RowNormDetail:
    """`mean`: 1 / sqrt(mean square + eps); else 1 / max(norm, eps)."""

    eps: float
    mean: bool


class RowNorm(Layer):
    """Scales each row: of an image the channels of a pixel, of a vector all numbers."""

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def detail(self) -> RowNormDetail:
        """How a row's factor comes from its squares."""
        raise NotImplementedError

    def forward(self, site: Site) -> None:
        """One `row_norm`, which keeps the factor of every row for the backward pass."""
        factors = site.save("factors", site.y.shape[:-1] or (1,), batched=True)
        reads = (*site.x, site.parameter("weight"))
        site.op("row_norm", "forward", reads, (site.y, factors), self.detail())

    def backward(self, site: Site) -> None:
        """dx by `row_norm_gradient`, and the gradient of the weights, where there are some, by `row_norm_sums`."""
        reads = (site.dy, site.x[0], site.saved["factors"])
        if (dw := site.gradient("weight")) is not None:
            site.op("row_norm_sums", "backward_weight", reads, (dw,))
        if (dx := site.dx[0]) is not None:
            more = (*reads, site.parameter("weight"))
            site.op("row_norm_gradient", "backward_input", more, (dx,), self.detail())
