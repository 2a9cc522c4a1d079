"""quantile: errors weighed so that a share tau of the targets lies below the output (Koenker and Bassett 1978)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Inside, Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, variable, where

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Quantile(ElementLoss):
    """The mean over mini-batch and outputs of tau * (t - z) where the target is above and (1 - tau) * (z - t) where it
    is below, as scikit-learn's mean_pinball_loss, with slope 0 where they are equal; a NaN target is missing."""

    tau: Inside = 0.5
    weight: Positive = 1.0

    def value(self) -> Scalar:
        """tau * (t - z) or (1 - tau) * (z - t), whichever is not negative."""
        return where(T > Z, self.tau * (T - Z), (1 - self.tau) * (Z - T))

    def slope(self) -> Scalar:
        """-tau below the target, 1 - tau above it."""
        return where(T > Z, -self.tau, where(T < Z, 1 - self.tau, 0))

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(max(tau * e, (tau - 1) * e)) with e = t - z, and its slope over the targets that are present."""
        there, share = shares(target, weights)
        error = np.where(there, target - z, 0)
        losses = np.maximum(self.tau * error, (self.tau - 1) * error)
        slopes = np.where(error > 0, -self.tau, np.where(error < 0, 1 - self.tau, 0))
        return self.weight * (share * losses).sum(), self.weight * share * slopes
