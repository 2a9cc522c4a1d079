"""hard_sigmoid: a sigmoid of three straight lines (Courbariaux et al. 2015; Howard et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X, Y
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """(x + 3) / 6, clipped to [0, 1], with the derivative 0 at both kinks as in PyTorch."""

    suits = "xavier"
    smooth = False
    examples = (Example("hard_sigmoid", ((7,),)), Example("hard_sigmoid", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """0 below -3, 1 above 3, (x + 3) / 6 between."""
        return where(X < -3, 0, where(X > 3, 1, (X + 3) / 6))

    def derivative(self) -> Scalar:
        """1 / 6 where the result is between 0 and 1, else 0: only the result is kept."""
        return where(Y > 0, where(Y < 1, 1 / 6, 0), 0)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = np.clip((x + 3) / 6, 0, 1); dx = dy / 6 where 0 < y < 1, else 0."""
        y = np.clip((xs[0] + 3) / 6, 0, 1)
        return Reference(y, lambda dy: ((dy * ((y > 0) & (y < 1)) / 6,), {}))
