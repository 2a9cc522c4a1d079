"""huber: squared for small errors, absolute for large ones (Huber 1964)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, variable, where

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Huber(ElementLoss):
    """The mean over mini-batch and outputs of e^2 / 2 where |e| = |z - t| is at most delta, and of delta * (|e| - delta
    / 2) beyond; a NaN target is missing."""

    delta: Positive = 1.0
    weight: Positive = 1.0

    def value(self) -> Scalar:
        """e^2 / 2 up to delta, delta * (|e| - delta / 2) beyond, with e = z - t."""
        error, far = absolute(Z - T), self.delta * (absolute(Z - T) - 0.5 * self.delta)
        return where(error > self.delta, far, 0.5 * (error * error))

    def slope(self) -> Scalar:
        """e clipped to [-delta, delta]."""
        error = Z - T
        return where(error > self.delta, self.delta, where(error < -self.delta, -self.delta, error))

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """With c = clip(e, -delta, delta): mean(c * (e - c / 2)) and c / count over the targets that are present."""
        there, share = shares(target, weights)
        error = np.where(there, z - target, 0)
        near = np.clip(error, -self.delta, self.delta)
        losses = near * (error - near / 2)
        return self.weight * (share * losses).sum(), self.weight * share * near
