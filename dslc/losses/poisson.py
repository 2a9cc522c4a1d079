"""poisson: how unlikely counts are under the predicted rates, y - t log y."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, exp, log, log1p, sigmoid, variable, where

Z, T = variable("z"), variable("t")
RATE = where(Z > 0, Z, 0) + log1p(exp(-absolute(Z)))
SMALL = -40
"""Below, softplus(z) is e^z to the last bit, and its logarithm z."""


@dataclass(frozen=True)
class Poisson(ElementLoss):
    """The mean over mini-batch and outputs, computed from what is under the softplus; a NaN target is missing.

    It is the negative logarithm of the probability e^-y y^t / t! without log t!, as PyTorch's PoissonNLLLoss with
    log_input=False and eps=0.
    """

    weight: Positive = 1.0

    through = "softplus"

    @property
    def target_range(self) -> tuple[float, float]:
        """Counts are not negative; they need not be whole."""
        return (0.0, inf)

    @property
    def numbers(self) -> bool:
        """Counts have no unit that could be changed."""
        return False

    def value(self) -> Scalar:
        """y - t log y with y = softplus(z)."""
        return RATE - T * where(Z < SMALL, Z, log(RATE))

    def slope(self) -> Scalar:
        """sigmoid(z) * (1 - t / y)."""
        return sigmoid(Z) - T * where(Z < SMALL, 1, sigmoid(Z) / RATE)

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(y - t * log(y)) and sigmoid(z) * (1 - t / y) / count over the targets that are present."""
        there, share = shares(target, weights)
        t, small = np.where(there, target, 0), z < SMALL
        rate, rising = np.logaddexp(0, z), np.exp(-np.logaddexp(0, -z))
        safe = np.where(small, 1, rate)
        losses = rate - t * np.where(small, z, np.log(safe))
        slopes = rising - t * np.where(small, 1, rising / safe)
        return self.weight * (share * np.where(there, losses, 0)).sum(), self.weight * share * slopes
