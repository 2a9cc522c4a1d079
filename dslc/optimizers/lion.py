"""lion: steps of the same size, by the sign of an average of the gradients (Chen et al. 2023, algorithm 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, NonNegative, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import sign, variable

V, AHEAD = variable("v"), variable("ahead")


@dataclass(frozen=True)
class Lion(Optimizer):
    """w -= lr * (sign(beta1 v + (1 - beta1) g) + weight_decay * w), the decay for weights only; then v = beta2 v + (1 -
    beta2) g."""

    lr: Positive = 0.0001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.99
    weight_decay: NonNegative = 0.0

    examples = ("lion(0.01)", "lion(0.01, beta1=0.6, beta2=0.8, weight_decay=0.3)")

    @property
    def states(self) -> tuple[str, ...]:
        """v, the average of the gradients."""
        return ("v",)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class."""
        direction = sign(AHEAD)
        if decays and self.weight_decay:
            direction = direction + self.weight_decay * W
        return Rule(
            (
                ("ahead", self.beta1 * V + (1 - self.beta1) * G),
                ("w", W - LR * direction),
                ("v", self.beta2 * V + (1 - self.beta2) * G),
            ),
            between=frozenset({"ahead"}),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """w' = w - lr * (sign(beta1 v + (1 - beta1) g) + weight_decay * w), v' = beta2 v + (1 - beta2) g."""
        v = states["v"]
        direction = np.sign(self.beta1 * v + (1 - self.beta1) * g)
        if decays:
            direction = direction + self.weight_decay * w
        return w - lr * direction, {"v": self.beta2 * v + (1 - self.beta2) * g}
