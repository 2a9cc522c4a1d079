"""rmsnorm: root mean square normalization (Zhang and Sennrich 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.layers import Example, Mode, Reference, Weights
from dslc.layers._row_norm import RowNorm, RowNormDetail
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class RmsNorm(RowNorm):
    """weight * x / sqrt(mean of x^2 + eps) over the last axis: of an image over the channels of each pixel, of a vector
    over all numbers. The weights are learned, one a channel (Zhang and Sennrich 2019)."""

    eps: Positive = 1e-6

    examples = (
        Example("rmsnorm", ((7,),)),
        Example("rmsnorm(eps=1e-2)", ((130,),)),
        Example("rmsnorm", ((3, 5, 9),)),
    )

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """The weights (channels,)."""
        return (Weights("weight", inputs[0][-1:], "ones"),)

    def detail(self) -> RowNormDetail:
        """1 / sqrt(mean square + eps)."""
        return RowNormDetail(self.eps, mean=True)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """x_hat = x / r with r = sqrt(mean(x^2) + eps) over the last axis; y = weight * x_hat.

        With g = dy * weight: dx = (g - x_hat * mean(g * x_hat)) / r, dweight = the sum over all rows of dy * x_hat.
        """
        x, w = xs[0], p["weight"]
        size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.eps)
        normal = x / size

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            slope = dy * w
            dx = (slope - normal * (slope * normal).mean(axis=-1, keepdims=True)) / size
            return (dx,), {"weight": (dy * normal).sum(axis=tuple(range(x.ndim - 1)))}

        return Reference(w * normal, pull)
