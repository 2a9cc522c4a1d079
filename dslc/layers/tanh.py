"""tanh: the hyperbolic tangent (notes: 'Hyperbolic tangent function')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, tanh


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent (notes: 'Hyperbolic tangent function')."""

    suits = "xavier"
    examples = (Example("tanh", ((7,),)), Example("tanh", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """tanh(x)."""
        return tanh(X)

    def derivative(self) -> Scalar:
        """1 - y^2: only the result is kept (notes: 'Derivatives of activation function')."""
        return 1 - Y * Y

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.tanh(x); dx = dy * (1 - y^2)."""
        x = xs[0]
        y = np.tanh(x)
        return Reference(y, lambda dy: ((dy * (1 - y**2),), {}))
