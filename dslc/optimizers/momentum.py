"""momentum: an exponentially weighted average of the gradients (notes: 'Gradient descent with momentum')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import variable

V = variable("v")


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v = beta * v + (1 - beta) * g; w -= lr * v."""

    lr: Positive = 0.01
    beta: Fraction = 0.9

    examples = ("momentum(0.1)", "momentum(0.1, beta=0.5)")

    @property
    def states(self) -> tuple[str, ...]:
        """v, the average of the gradients."""
        return ("v",)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike."""
        return Rule((("v", self.beta * V + (1 - self.beta) * G), ("w", W - LR * V)))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """v' = beta * v + (1 - beta) * g, w' = w - lr * v'."""
        v = self.beta * states["v"] + (1 - self.beta) * g
        return w - lr * v, {"v": v}
