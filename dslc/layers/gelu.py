"""gelu: x times the cumulative distribution function of the normal distribution (Hendrycks and Gimpel 2016), exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, exp, normal

HALF, DENSITY = 0.5, 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Gelu(Activation):
    """x * Phi(x) with Phi the cumulative normal distribution (Hendrycks and Gimpel 2016), by erf and not by an
    approximation."""

    suits = "he"
    examples = (Example("gelu", ((7,),)), Example("gelu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x * Phi(x), where Phi is the normal distribution function."""
        return X * normal(X)

    def derivative(self) -> Scalar:
        """Phi(x) + x * phi(x), phi(x) = e^(-x^2 / 2) / sqrt(2 pi)."""
        return normal(X) + X * exp(-HALF * X * X) * DENSITY

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * Phi(x); dx = dy * (Phi(x) + x * phi(x))."""
        x = xs[0]
        below = 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))
        density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return Reference(x * below, lambda dy: ((dy * (below + x * density),), {}))
