"""adadelta: steps as large as an average of the steps before (Zeiler 2012)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import sqrt, variable

S, D, DELTA = variable("s"), variable("d"), variable("delta")


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """s = rho s + (1 - rho) g^2; delta = g * sqrt(d + eps) / sqrt(s + eps); d = rho d + (1 - rho) delta^2; w -= lr *
    delta."""

    lr: Positive = 1.0
    rho: Fraction = 0.9
    eps: Positive = 1e-6

    examples = ("adadelta(1)", "adadelta(0.5, rho=0.6, eps=1e-3)")

    @property
    def states(self) -> tuple[str, ...]:
        """s and d, the averages of the squared gradients and of the squared steps."""
        return ("s", "d")

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike."""
        return Rule(
            (
                ("s", self.rho * S + (1 - self.rho) * G * G),
                ("delta", G * sqrt(D + self.eps) / sqrt(S + self.eps)),
                ("d", self.rho * D + (1 - self.rho) * DELTA * DELTA),
                ("w", W - LR * DELTA),
            ),
            between=frozenset({"delta"}),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """s' = rho s + (1 - rho) g^2, delta = g * sqrt(d + eps) / sqrt(s' + eps), d' = rho d + (1 - rho) delta^2, w' =
        w - lr * delta."""
        s = self.rho * states["s"] + (1 - self.rho) * g**2
        delta = g * np.sqrt(states["d"] + self.eps) / np.sqrt(s + self.eps)
        return w - lr * delta, {"s": s, "d": self.rho * states["d"] + (1 - self.rho) * delta**2}
