"""elu: x above 0, exp(x) - 1 below (Clevert et al. 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, expm1, where


@dataclass(frozen=True)
class Elu(Activation):
    """x above 0, exp(x) - 1 below (Clevert et al. 2015)."""

    suits = "he"
    smooth = False
    examples = (Example("elu", ((7,),)), Example("elu", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x > 0 ? x : e^x - 1."""
        return where(X > 0, X, expm1(X))

    def derivative(self) -> Scalar:
        """1 above 0, else e^x, which is y + 1: only the result is kept."""
        return where(X > 0, 1, Y + 1)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.where(x > 0, x, np.expm1(x)); dx = dy * np.where(x > 0, 1, y + 1)."""
        x = xs[0]
        y = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        return Reference(y, lambda dy: ((dy * (np.where(x > 0, 1, y + 1)),), {}))
