"""sgd: stochastic gradient descent, optionally with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Flag, Fraction, NonNegative, Positive
from dslc.numerics import Array
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import variable

V = variable("v")


@dataclass(frozen=True)
class Sgd(Optimizer):
    """w -= lr * g; with momentum mu: v = mu * v + g, w -= lr * v, or with nesterov w -= lr * (g + mu * v).
    weight_decay is added to g as weight_decay * w, for weights only."""

    lr: Positive = 0.01
    momentum: Fraction = 0.0
    nesterov: Flag = False
    weight_decay: NonNegative = 0.0

    examples = (
        "sgd(0.1)", "sgd(0.1, momentum=0.9)", "sgd(0.1, momentum=0.8, nesterov=on)", "sgd(0.1, weight_decay=0.3)",
        "sgd(0.1, momentum=0.8, nesterov=on, weight_decay=0.3)",
    )  # fmt: skip

    @property
    def states(self) -> tuple[str, ...]:
        """v with momentum, else none."""
        return ("v",) if self.momentum else ()

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class."""
        g = G + self.weight_decay * W if decays and self.weight_decay else G
        if not self.momentum:
            return Rule((("w", W - LR * g),))
        direction = g + self.momentum * V if self.nesterov else V
        return Rule((("v", self.momentum * V + g), ("w", W - LR * direction)))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """With g + weight_decay * w in place of g for weights: w' = w - lr * g; with momentum v' = mu * v + g and w' =
        w - lr * v', with nesterov w' = w - lr * (g + mu * v')."""
        if decays:
            g = g + self.weight_decay * w
        if not self.momentum:
            return w - lr * g, {}
        v = self.momentum * states["v"] + g
        return w - lr * (g + self.momentum * v if self.nesterov else v), {"v": v}
