"""selu: a scaled elu under which networks normalize themselves (Klambauer et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, expm1, where

SCALE, ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
"""With these, mean 0 and variance 1 are a fixed point from layer to layer (Klambauer et al. 2017, equation 14)."""


@dataclass(frozen=True)
class Selu(Activation):
    """scale * x above 0, scale * alpha * (exp(x) - 1) up to 0, with the derivative scale * alpha at 0 as in PyTorch
    (Klambauer et al. 2017)."""

    suits = "lecun"
    smooth = False
    examples = (Example("selu", ((7,),)), Example("selu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x > 0 ? scale * x : scale * alpha * (e^x - 1)."""
        return where(X > 0, SCALE * X, SCALE * ALPHA * expm1(X))

    def derivative(self) -> Scalar:
        """scale above 0, else scale * alpha * e^x, which is y + scale * alpha: only the result is kept."""
        return where(Y > 0, SCALE, Y + SCALE * ALPHA)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = scale * np.where(x > 0, x, alpha * np.expm1(x)); dx = dy * scale * np.where(x > 0, 1, alpha * e^x)."""
        x, below = xs[0], np.minimum(xs[0], 0)
        y = SCALE * np.where(x > 0, x, ALPHA * np.expm1(below))
        return Reference(y, lambda dy: ((dy * SCALE * np.where(x > 0, 1, ALPHA * np.exp(below)),), {}))
