"""sgd: stochastic gradient descent, optionally with momentum (Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Flag, Fraction, Positive
from dslc.numerics import Array
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import variable

V = variable("v")


@dataclass(frozen=True)
class Sgd(Optimizer):
    """w -= lr * g; with momentum mu: v = mu * v + g, w -= lr * v, or with nesterov w -= lr * (g + mu * v)."""

    lr: Positive = 0.01
    momentum: Fraction = 0.0
    nesterov: Flag = False

    examples = ("sgd(0.1)", "sgd(0.1, momentum=0.9)", "sgd(0.1, momentum=0.8, nesterov=on)")

    @property
    def states(self) -> tuple[str, ...]:
        """v with momentum, else none."""
        return ("v",) if self.momentum else ()

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike."""
        if not self.momentum:
            return Rule((("w", W - LR * G),))
        direction = G + self.momentum * V if self.nesterov else V
        return Rule((("v", self.momentum * V + G), ("w", W - LR * direction)))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """w' = w - lr * g; with momentum v' = mu * v + g and w' = w - lr * v', with nesterov w' = w - lr * (g + mu *
        v')."""
        if not self.momentum:
            return w - lr * g, {}
        v = self.momentum * states["v"] + g
        return w - lr * (g + self.momentum * v if self.nesterov else v), {"v": v}
