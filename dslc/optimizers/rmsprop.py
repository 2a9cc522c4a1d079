"""rmsprop: steps divided by the root of an average of squared gradients (notes: 'RMSProp'); centered: Graves 2013."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Flag, Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import larger, sqrt, variable

S, MEAN, V = variable("s"), variable("mean"), variable("v")


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """s = beta * s + (1 - beta) * g^2; w -= lr * g / sqrt(s + eps). Here eps is under the root.

    centered: s less the square of mean = beta * mean + (1 - beta) * g, a variance, stands in place of s. With momentum
    mu, v = mu * v + g / sqrt(s + eps) and w -= lr * v, as in PyTorch.
    """

    lr: Positive = 0.001
    beta: Fraction = 0.9
    eps: Positive = 1e-8
    momentum: Fraction = 0.0
    centered: Flag = False

    examples = (
        "rmsprop(0.01)", "rmsprop(0.01, beta=0.5, eps=1e-3)", "rmsprop(0.01, momentum=0.9)",
        "rmsprop(0.01, centered=on, eps=1e-3)", "rmsprop(0.01, beta=0.8, momentum=0.5, centered=on)",
    )  # fmt: skip

    @property
    def states(self) -> tuple[str, ...]:
        """s, the average of the squared gradients; mean, that of the gradients, if centered; v with momentum."""
        return ("s", *(("mean",) if self.centered else ()), *(("v",) if self.momentum else ()))

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike. Rounding makes no variance negative."""
        assignments = [("s", self.beta * S + (1 - self.beta) * G * G)]
        if self.centered:
            assignments.append(("mean", self.beta * MEAN + (1 - self.beta) * G))
        root = sqrt((larger(S - MEAN * MEAN, 0) if self.centered else S) + self.eps)
        if not self.momentum:
            return Rule((*assignments, ("w", W - LR * G / root)))
        return Rule((*assignments, ("v", self.momentum * V + G / root), ("w", W - LR * V)))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """s' = beta * s + (1 - beta) * g^2, d = g / sqrt(s' + eps), w' = w - lr * d. Centered, s' - mean'^2, with
        mean' = beta * mean + (1 - beta) * g, is under the root; with momentum v' = mu * v + d, w' = w - lr * v'."""
        s = self.beta * states["s"] + (1 - self.beta) * g**2
        new, square = {"s": s}, s
        if self.centered:
            new["mean"] = self.beta * states["mean"] + (1 - self.beta) * g
            square = np.maximum(s - new["mean"] ** 2, 0)
        direction = g / np.sqrt(square + self.eps)
        if self.momentum:
            new["v"] = direction = self.momentum * states["v"] + direction
        return w - lr * direction, new
