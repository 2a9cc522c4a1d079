"""binary_cross_entropy: -(t log p + (1 - t) log(1 - p)) (notes: 'Logistic Regression', 'Loss function')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, exp, log1p, sigmoid, variable, where

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class BinaryCrossEntropy(ElementLoss):
    """The mean over mini-batch and outputs, computed from the logits under the sigmoid; NaN is a missing label."""

    weight: Positive = 1.0

    through = "sigmoid"
    metrics = ("accuracy",)
    yes_or_no = True

    def value(self) -> Scalar:
        return where(Z > 0, Z, 0) - Z * T + log1p(exp(-absolute(Z)))

    def slope(self) -> Scalar:
        return sigmoid(Z) - T

    def reference(self, z: Array, target: Array) -> tuple[float, Array]:
        there = ~np.isnan(target)
        t, count = np.where(there, target, 0), max(1, there.sum())
        losses = np.where(there, np.logaddexp(0, z) - t * z, 0)
        return self.weight * losses.sum() / count, self.weight * np.where(there, 1 / (1 + np.exp(-z)) - t, 0) / count
