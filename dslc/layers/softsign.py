"""softsign: x / (1 + |x|) (Bergstra et al. 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute


@dataclass(frozen=True)
class Softsign(Activation):
    """x / (1 + |x|) (Bergstra et al. 2009)."""

    suits = "xavier"
    examples = (Example("softsign", ((7,),)), Example("softsign", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """x / (1 + |x|)."""
        return X / (1 + absolute(X))

    def derivative(self) -> Scalar:
        """1 / (1 + |x|)^2, from x: (1 - |y|)^2 would cancel far from 0, where it falls slowly."""
        return 1 / (1 + absolute(X)) / (1 + absolute(X))

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x / (1 + |x|); dx = dy / (1 + |x|)^2."""
        size = 1 + np.abs(xs[0])
        return Reference(xs[0] / size, lambda dy: ((dy / size**2,), {}))
