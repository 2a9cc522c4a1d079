"""gelu: x times the normal distribution function of x (Hendrycks and Gimpel 2016), exact."""

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
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016), exact."""

    suits = "he"
    examples = (Example("gelu", ((7,),)), Example("gelu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        return X * normal(X)

    def derivative(self) -> Scalar:
        return normal(X) + X * exp(-HALF * X * X) * DENSITY

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        x = xs[0]
        below = 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))
        density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return Reference(x * below, lambda dy: ((dy * (below + x * density),), {}))
