"""mish: x * tanh(softplus(x)) (Misra 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, sigmoid, tanh_softplus


@dataclass(frozen=True)
class Mish(Activation):
    """x * tanh(softplus(x)) (Misra 2019)."""

    suits = "he"
    examples = (Example("mish", ((7,),)), Example("mish", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x * tanh(log(1 + e^x))."""
        return X * tanh_softplus(X)

    def derivative(self) -> Scalar:
        """t + x * sigmoid(x) * (1 - t^2) with t = tanh(log(1 + e^x))."""
        t = tanh_softplus(X)
        return t + X * sigmoid(X) * (1 - t * t)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * t, t = np.tanh(np.logaddexp(0, x)); dx = dy * (t + x * (1 - t^2) / (1 + e^-x))."""
        x = xs[0]
        t = np.tanh(np.logaddexp(0, x))
        return Reference(x * t, lambda dy: ((dy * (t + x * (1 - t**2) / (1 + np.exp(-x))),), {}))
