"""focal: binary cross-entropy in which what is already right hardly counts (Lin et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Inside, NonNegative, Positive
from dslc.losses import ElementLoss, shares
from dslc.losses.binary_cross_entropy import BinaryCrossEntropy
from dslc.numerics import Array, np
from dslc.scalar import Scalar, exp, log, sigmoid, variable, where

Z, T = variable("z"), variable("t")
WRONG = T * sigmoid(-Z) + (1 - T) * sigmoid(Z)
"""1 - p_t, the probability of the wrong answer."""


@dataclass(frozen=True)
class Focal(ElementLoss):
    """The mean over mini-batch and outputs of a (1 - p_t)^gamma times the binary cross-entropy, with p_t = p and a =
    alpha where the target is 1, 1 - p and 1 - alpha where it is 0, and in between in proportion, as torchvision's
    sigmoid_focal_loss; computed from the logits under the sigmoid. A NaN target is missing."""

    gamma: NonNegative = 2.0
    alpha: Inside = 0.25
    weight: Positive = 1.0

    through = "sigmoid"
    metrics = ("accuracy",)
    binary = True

    @property
    def _share(self) -> Scalar:
        return (1 - self.alpha) + (2 * self.alpha - 1) * T

    @property
    def _modulation(self) -> Scalar:
        return where(WRONG > 0, exp(self.gamma * log(WRONG)), 0)

    def value(self) -> Scalar:
        """a (1 - p_t)^gamma times the binary cross-entropy."""
        plain = BinaryCrossEntropy().value()
        return self._share * plain if not self.gamma else self._share * self._modulation * plain

    def slope(self) -> Scalar:
        """a (1 - p_t)^gamma ((p - t) + gamma (1 - 2t) p (1 - p) / (1 - p_t) times the binary cross-entropy)."""
        plain = BinaryCrossEntropy()
        if not self.gamma:
            return self._share * plain.slope()
        inner = where(WRONG > 0, (1 - 2 * T) * (sigmoid(Z) * sigmoid(-Z) / WRONG), 0)
        return self._share * self._modulation * (plain.slope() + self.gamma * inner * plain.value())

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """The formulas of the class, over the targets that are present."""
        there, share = shares(target, weights)
        t = np.where(there, target, 0)
        yes, no = np.exp(-np.logaddexp(0, -z)), np.exp(-np.logaddexp(0, z))
        wrong = t * no + (1 - t) * yes
        plain = np.logaddexp(0, z) - t * z
        safe = np.where(wrong > 0, wrong, 1)
        shrunk = np.where(wrong > 0, safe**self.gamma, 0) if self.gamma else 1.0
        rising = self.gamma * np.where(wrong > 0, (1 - 2 * t) * (yes * no / safe), 0)
        factor = self.weight * share * (self.alpha * t + (1 - self.alpha) * (1 - t)) * shrunk
        return (factor * plain).sum(), factor * (yes - t + rising * plain)
