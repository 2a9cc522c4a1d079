"""leaky_relu: x above 0, alpha * x below, with the derivative 1 at 0 (notes: 'Leaky ReLU')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Number
from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x above 0, alpha * x below: max(alpha * x, x) for alpha below 1."""

    alpha: Number = 0.01

    suits = "he"
    smooth = False
    examples = (Example("leaky_relu", ((7,),)), Example("leaky_relu(0.2)", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x >= 0 ? x : alpha * x."""
        return where(X >= 0, X, self.alpha * X)

    def derivative(self) -> Scalar:
        """1 for x >= 0, else alpha."""
        return where(X >= 0, 1, self.alpha)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * slope with slope = np.where(x >= 0, 1, alpha); dx = dy * slope."""
        slope = np.where(xs[0] >= 0, 1, self.alpha)
        return Reference(xs[0] * slope, lambda dy: ((dy * slope,), {}))
