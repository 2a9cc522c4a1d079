"""gelu: x times the cumulative distribution function of the normal distribution (Hendrycks and Gimpel 2016)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import OneOf
from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, exp, normal, sigmoid

HALF, DENSITY = 0.5, 1 / math.sqrt(2 * math.pi)
SLOPE, CUBIC = math.sqrt(8 / math.pi), 0.044715
"""Of the approximation: Phi(x) is about sigmoid(SLOPE * (x + CUBIC * x^3))."""


@dataclass(frozen=True)
class Gelu(Activation):
    """x * Phi(x) with Phi the cumulative normal distribution (Hendrycks and Gimpel 2016), by erf; with approximate=tanh
    x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2, as in GPT-2."""

    approximate: Annotated[str, OneOf(("none", "tanh"))] = "none"

    suits = "he"
    examples = (
        Example("gelu", ((7,),)),
        Example("gelu", ((3, 5, 2),)),
        Example("gelu(approximate=tanh)", ((7,),)),
        Example("gelu(approximate=tanh)", ((3, 5, 2),)),
    )

    def value(self) -> Scalar:
        """x * Phi(x), where Phi is the normal distribution function or its approximation."""
        return X * (normal(X) if self.approximate == "none" else _approximate_normal())

    def derivative(self) -> Scalar:
        """Phi(x) + x * phi(x), phi(x) = e^(-x^2 / 2) / sqrt(2 pi); of the approximation, s * (1 + x * (1 - s) * u'(x))
        with s = sigmoid(u(x))."""
        if self.approximate == "none":
            return normal(X) + X * exp(-HALF * X * X) * DENSITY
        s = _approximate_normal()
        return s * (1 + X * (1 - s) * (SLOPE + 3 * SLOPE * CUBIC * X * X))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * Phi(x); dx = dy * (Phi(x) + x * phi(x)). Of the approximation, Phi(x) = 1 / (1 + e^-u) and phi(x) =
        Phi(x) * (1 - Phi(x)) * u'(x) with u = sqrt(8 / pi) * (x + 0.044715 x^3); e^-|u| does not overflow."""
        x = xs[0]
        if self.approximate == "none":
            below = 0.5 * np.vectorize(math.erfc)(-x / math.sqrt(2))
            density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        else:
            u = SLOPE * (x + CUBIC * x**3)
            small = np.exp(-np.abs(u))
            below = np.where(u < 0, small, 1) / (1 + small)
            density = small / (1 + small) ** 2 * SLOPE * (1 + 3 * CUBIC * x**2)
        return Reference(x * below, lambda dy: ((dy * (below + x * density),), {}))


def _approximate_normal() -> Scalar:
    """(1 + tanh(u / 2)) / 2 = sigmoid(u), which does not cancel in the tail."""
    return sigmoid(SLOPE * X * (1 + CUBIC * X * X))
