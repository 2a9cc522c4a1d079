"""softplus: log(1 + exp(x)) (Dugas et al. 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, exp, log1p, sigmoid, where


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + e^x), a smooth relu (Dugas et al. 2001)."""

    suits = "he"
    examples = (Example("softplus", ((7,),)), Example("softplus", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """max(x, 0) + log1p(e^-|x|), which does not overflow."""
        return where(X > 0, X, 0) + log1p(exp(-absolute(X)))

    def derivative(self) -> Scalar:
        """sigmoid(x)."""
        return sigmoid(X)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.logaddexp(0, x); dx = dy / (1 + np.exp(-x))."""
        x = xs[0]
        return Reference(np.logaddexp(0, x), lambda dy: ((dy * (1 / (1 + np.exp(-x))),), {}))
