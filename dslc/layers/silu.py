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
        """y = x * s, s = 1 / (1 + e^-x); dx = dy * (s + x * s * (1 - s)). e^-|x| does not overflow."""
        x, small = xs[0], np.exp(-np.abs(xs[0]))
        s = np.where(x < 0, small, 1) / (1 + small)
        return Reference(x * s, lambda dy: ((dy * (s + x * small / (1 + small) ** 2),), {}))
