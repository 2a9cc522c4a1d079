"""hard_swish: x * hard_sigmoid(x) (Howard et al. 2019, MobileNetV3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Activation, Example, Mode, Reference, X
from dslc.numerics import Array, np
from dslc.scalar import Scalar, where


@dataclass(frozen=True)
class HardSwish(Activation):
    """x * hard_sigmoid(x); at the kinks the derivative is 0 at -3 and 1 at 3 as in PyTorch (Howard et al. 2019)."""

    suits = "he"
    smooth = False
    examples = (Example("hard_swish", ((7,),)), Example("hard_swish", ((3, 5, 2),)))

    def value(self) -> Scalar:
        """0 below -3, x above 3, x * (x + 3) / 6 between."""
        return where(X < -3, 0, where(X > 3, X, X * (X + 3) / 6))

    def derivative(self) -> Scalar:
        """0 up to -3, 1 from 3 on, x / 3 + 1 / 2 between."""
        return where(X > -3, where(X < 3, X / 3 + 0.5, 1), 0)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * np.clip(x + 3, 0, 6) / 6; dx = dy * (0 for x <= -3, 1 for x >= 3, else x / 3 + 1 / 2)."""
        x = xs[0]
        slope = np.select([x <= -3, x >= 3], [0.0, 1.0], x / 3 + 0.5)
        return Reference(x * np.clip(x + 3, 0, 6) / 6, lambda dy: ((dy * slope,), {}))
