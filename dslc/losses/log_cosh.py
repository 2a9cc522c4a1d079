"""log_cosh: log cosh of the error, squared for small errors and absolute for large ones, with all derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, exp, log1p, tanh, variable

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class LogCosh(ElementLoss):
    """The mean over mini-batch and outputs of log(cosh(z - t)), as in Keras; a NaN target is missing."""

    weight: Positive = 1.0

    def value(self) -> Scalar:
        """|e| + log1p(e^(-2|e|)) - log 2 with e = z - t, without overflow."""
        error = absolute(Z - T)
        return error + (log1p(exp(-2 * error)) - log(2))

    def slope(self) -> Scalar:
        """tanh(z - t)."""
        return tanh(Z - T)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(logaddexp(e, -e) - log 2) and tanh(e) / count over the targets that are present."""
        there, share = shares(target, weights)
        error = np.where(there, z - target, 0)
        losses = np.logaddexp(error, -error) - log(2)
        return self.weight * (share * losses).sum(), self.weight * share * np.tanh(error)
