"""binary_cross_entropy: -(t log p + (1 - t) log(1 - p)) (notes: 'Logistic Regression', 'Loss function')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ElementLoss, shares
from dslc.numerics import Array, np
from dslc.scalar import Scalar, absolute, exp, log1p, sigmoid, variable, where

Z, T = variable("z"), variable("t")


@dataclass(frozen=True)
class BinaryCrossEntropy(ElementLoss):
    """The mean over mini-batch and outputs, computed from the logits under the sigmoid; a NaN target is missing."""

    weight: Positive = 1.0

    through = "sigmoid"
    metrics = ("accuracy",)
    binary = True

    def value(self) -> Scalar:
        """max(z, 0) - z * t + log1p(e^-|z|), which is -(t log p + (1 - t) log(1 - p)) for p = sigmoid(z), without
        overflow."""
        return where(Z > 0, Z, 0) - Z * T + log1p(exp(-absolute(Z)))

    def slope(self) -> Scalar:
        """sigmoid(z) - t (notes: 'Gradient computation')."""
        return sigmoid(Z) - T

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(np.logaddexp(0, z) - t * z) and (sigmoid(z) - t) / count over the targets that are present."""
        there, share = shares(target, weights)
        t = np.where(there, target, 0)
        losses = np.where(there, np.logaddexp(0, z) - t * z, 0)
        slopes = np.where(there, 1 / (1 + np.exp(-z)) - t, 0)
        return self.weight * (share * losses).sum(), self.weight * share * slopes
