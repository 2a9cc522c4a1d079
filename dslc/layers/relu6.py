"""relu6: relu that ends at 6 (Howard et al. 2017, MobileNets)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class Relu6(Activation):
    """min(max(0, x), 6), with the derivative 0 at both kinks as in PyTorch (Howard et al. 2017)."""

    suits = "he"
    smooth = False
    examples = (Example("relu6", ((7,),)), Example("relu6", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x < 0 ? 0 : x > 6 ? 6 : x."""
        return where(X < 0, 0, where(X > 6, 6, X))

    def derivative(self) -> Scalar:
        """1 where the result is between 0 and 6, else 0: only the result is kept."""
        return where(Y > 0, where(Y < 6, 1, 0), 0)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.clip(x, 0, 6); dx = dy where 0 < x < 6, else 0."""
        x = xs[0]
        return Reference(np.clip(x, 0, 6), lambda dy: ((dy * ((x > 0) & (x < 6)),), {}))
