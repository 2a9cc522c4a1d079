"""relu: max(0, x), with the derivative 1 at 0 (notes: 'Derivatives of activation function')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import NEGATIVE_ZERO, Scalar, sign_bit, where


@dataclass(frozen=True)
class Relu(Activation):
    """max(0, x), with the derivative 1 at 0 (notes: 'Derivatives of activation function')."""

    suits = "he"
    smooth = False
    examples = (Example("relu", ((7,),)), Example("relu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x < 0 ? 0 : x."""
        return where(X < 0, 0, X)

    def inner_value(self) -> Scalar:
        """-0 for negative x and +0 for 0, so that the derivative can be read from the result."""
        return where(X < 0, NEGATIVE_ZERO, X + 0)

    def derivative(self) -> Scalar:
        """0 if the result has a minus sign, else 1: only the result is kept."""
        return where(sign_bit(Y), 0, 1)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.maximum(x, 0); dx = dy * (x >= 0)."""
        x = xs[0]
        return Reference(np.maximum(x, 0), lambda dy: ((dy * ((x >= 0).astype(x.dtype)),), {}))
