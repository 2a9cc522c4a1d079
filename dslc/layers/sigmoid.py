"""sigmoid: 1 / (1 + exp(-x)) (notes: 'Sigmoid function')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, sigmoid


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x)) (notes: 'Sigmoid function')."""

    suits = "xavier"
    examples = (Example("sigmoid", ((7,),)), Example("sigmoid", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """1 / (1 + e^-x), without overflow at either end."""
        return sigmoid(X)

    def derivative(self) -> Scalar:
        """y * (1 - y): only the result is kept (notes: 'Derivatives of activation function')."""
        return Y * (1 - Y)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = 1 / (1 + np.exp(-x)); dx = dy * y * (1 - y)."""
        x = xs[0]
        y = 1 / (1 + np.exp(-x))
        return Reference(y, lambda dy: ((dy * (y * (1 - y)),), {}))
