"""huber: squared near the target, absolute far from it (Huber 1964)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, variable, where

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class Huber(ElementLoss):
    """The mean over mini-batch and outputs of e^2 / 2 where |e| = |z - t| is at most delta, and of
    delta * (|e| - delta / 2) beyond; NaN is a missing target."""

    delta: Positive = 1.0
    weight: Positive = 1.0

    def value(self) -> Scalar:
        error, far = absolute(Z - T), self.delta * (absolute(Z - T) - 0.5 * self.delta)
        return where(error > self.delta, far, 0.5 * (error * error))

    def slope(self) -> Scalar:
        error = Z - T
        return where(error > self.delta, self.delta, where(error < -self.delta, -self.delta, error))

    def reference(self, z: Array, target: Array) -> tuple[float, Array]:
        there = ~np.isnan(target)
        error, count = np.where(there, z - target, 0), max(1, there.sum())
        near = np.clip(error, -self.delta, self.delta)
        losses = near * (error - near / 2)
        return self.weight * losses.sum() / count, self.weight * near / count
