"""prelu: relu with a learned slope below 0 (He et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Number
from dslc.layers import Example, X
from dslc.layers._channelwise import Channelwise, W
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class Prelu(Channelwise):
    """x above 0, slope * x up to 0, with a learned slope a channel that starts as `alpha`. At 0 the derivative is the
    slope, as in PyTorch (He et al. 2015)."""

    alpha: Number = 0.25

    role = "slope"
    suits = "he"
    smooth = False
    examples = (
        Example("prelu", ((7,),)),
        Example("prelu(alpha=0.1)", ((3, 5, 2),)),
        Example("prelu", ((130,),)),
        Example("prelu", ((9, 7, 33),)),
    )

    def value(self) -> Scalar:
        """x > 0 ? x : w * x."""
        return where(X > 0, X, W * X)

    def derivative(self) -> Scalar:
        """1 above 0, else w."""
        return where(X > 0, 1, W)

    def factor_derivative(self) -> Scalar:
        """0 above 0, else x."""
        return where(X > 0, 0, X)

    def start(self) -> float:
        """`alpha`."""
        return self.alpha

    def curve(self, x: Array, w: Array) -> tuple[Array, Array, Array]:
        """y = np.where(x > 0, x, w * x), its slope, and np.minimum(x, 0)."""
        return np.where(x > 0, x, w * x), np.where(x > 0, 1, w), np.minimum(x, 0)
