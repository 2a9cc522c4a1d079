"""lars: momentum with steps in proportion to the norm of the weights, for large mini-batches (You et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, NonNegative, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, TRUST, G, Optimizer, Rule, Trust, W
from dslc.scalar import exact, variable, where

V = variable("v")
NORM, GRADIENT_NORM = variable("norm1"), variable("norm2")


@dataclass(frozen=True)
class Lars(Optimizer):
    """v = momentum * v + lr * r * (g + weight_decay * w) with r = trust * |w| / (|g| + weight_decay * |w|) and norms
    over the whole parameter; w -= v (algorithm 1).

    Where a norm is 0, and for all but weights, which do not decay either, r is 1.
    """

    lr: Positive = 0.1
    momentum: Fraction = 0.9
    weight_decay: NonNegative = 0.0001
    trust: Positive = 0.001

    examples = ("lars(0.02)", "lars(0.05, momentum=0.5, weight_decay=0.3, trust=0.2)")

    @property
    def states(self) -> tuple[str, ...]:
        """v, the sum of steps that momentum goes on with."""
        return ("v",)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class."""
        if not decays:
            return Rule((("v", self.momentum * V + LR * G), ("w", W - V)))
        g = G + self.weight_decay * W if self.weight_decay else G
        ratio = self.trust * NORM / (GRADIENT_NORM + exact(self.weight_decay) * NORM)
        return Rule(
            (("v", self.momentum * V + LR * TRUST * g), ("w", W - V)),
            trust=Trust((W, G), where(NORM * GRADIENT_NORM > 0, ratio, 1)),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The formulas of the class."""
        ratio = 1.0
        if decays:
            norm, gradient_norm = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
            if norm > 0 and gradient_norm > 0:
                ratio = self.trust * norm / (gradient_norm + self.weight_decay * norm)
            g = g + self.weight_decay * w
        v = self.momentum * states["v"] + lr * ratio * g
        return w - v, {"v": v}
