"""scale: a learned factor a channel (Touvron et al. 2021, LayerScale)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Number
from dslc.layers import Example, X
from dslc.layers._channelwise import Channelwise, W
from dslc.numerics import Array, np
from dslc.scalar import Scalar


@dataclass(frozen=True)
class Scale(Channelwise):
    """x times a learned factor a channel that begins as `initial`; small factors, such as 1e-4, let a deep residual
    network start as almost the identity (Touvron et al. 2021)."""

    initial: Number = 1.0

    role = "factor"
    examples = (
        Example("scale", ((7,),)),
        Example("scale(initial=0.1)", ((3, 5, 2),)),
        Example("scale", ((130,),)),
        Example("scale", ((9, 7, 33),)),
    )

    def value(self) -> Scalar:
        """w * x."""
        return W * X

    def derivative(self) -> Scalar:
        """w."""
        return W

    def factor_derivative(self) -> Scalar:
        """x."""
        return X

    def start(self) -> float:
        """`initial`."""
        return self.initial

    def curve(self, x: Array, w: Array) -> tuple[Array, Array, Array]:
        """y = w * x, w, and x."""
        return w * x, np.broadcast_to(w, x.shape), x
