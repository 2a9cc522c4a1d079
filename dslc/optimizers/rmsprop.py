"""rmsprop: steps divided by the root of an average of squared gradients (notes: 'RMSProp')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import sqrt, variable

S = variable("s")


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """s = beta * s + (1 - beta) * g^2; w -= lr * g / sqrt(s + eps). Here eps is under the root."""

    lr: Positive = 0.001
    beta: Fraction = 0.9
    eps: Positive = 1e-8

    examples = ("rmsprop(0.01)", "rmsprop(0.01, beta=0.5, eps=1e-3)")

    @property
    def states(self) -> tuple[str, ...]:
        """s, the average of the squared gradients."""
        return ("s",)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike."""
        return Rule((("s", self.beta * S + (1 - self.beta) * G * G), ("w", W - LR * G / sqrt(S + self.eps))))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """s' = beta * s + (1 - beta) * g^2, w' = w - lr * g / sqrt(s' + eps)."""
        s = self.beta * states["s"] + (1 - self.beta) * g**2
        return w - lr * g / np.sqrt(s + self.eps), {"s": s}
