"""silu: x * sigmoid(x) (Elfwing et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, sigmoid


@dataclass(frozen=True)
class Silu(Activation):
    """x * sigmoid(x) (Elfwing et al. 2017)."""

    suits = "he"
    examples = (Example("silu", ((7,),)), Example("silu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x * sigmoid(x)."""
        return X * sigmoid(X)

    def derivative(self) -> Scalar:
        """sigmoid(x) * (1 + x * (1 - sigmoid(x)))."""
        return sigmoid(X) * (1 + X * (1 - sigmoid(X)))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x / (1 + np.exp(-x)); dx = dy * (1 + e^-x * (1 + x)) / (1 + e^-x)^2."""
        x = xs[0]
        return Reference(
            x / (1 + np.exp(-x)), lambda dy: ((dy * ((1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2),), {})
        )
