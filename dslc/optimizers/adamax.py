"""adamax: adam with the largest gradient in place of the root of the squares (Kingma and Ba 2015, algorithm 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, STEP, G, Optimizer, Rule, W
from dslc.scalar import absolute, exact, larger, power, variable

V, U = variable("v"), variable("u")
V_CORRECTION = variable("v_correction")


@dataclass(frozen=True)
class Adamax(Optimizer):
    """v = beta1 v + (1 - beta1) g; u = max(beta2 u, |g| + eps); w -= lr / (1 - beta1^t) * v / u, as in PyTorch."""

    lr: Positive = 0.002
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8

    examples = ("adamax(0.01)", "adamax(0.01, beta1=0.5, beta2=0.9, eps=1e-3)")

    @property
    def states(self) -> tuple[str, ...]:
        """v, the average of the gradients, and u - eps, which is 0 where all gradients were."""
        return ("v", "u")

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike, with the state u + eps in place of u: states begin
        with 0, and stay 0 in the padding of a packed array."""
        return Rule(
            (
                ("v", self.beta1 * V + (1 - self.beta1) * G),
                ("u", larger(absolute(G), self.beta2 * (U + self.eps) - self.eps)),
                ("w", W - LR * V_CORRECTION * V / (U + self.eps)),
            ),
            (("v_correction", 1 / (1 - power(exact(self.beta1), STEP))),),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The formulas of the class; u - eps is kept, and not rounded by adding eps first."""
        v = self.beta1 * states["v"] + (1 - self.beta1) * g
        kept = np.maximum(self.beta2 * (states["u"] + self.eps) - self.eps, np.abs(g))
        return w - lr / (1 - self.beta1**step) * v / (kept + self.eps), {"v": v, "u": kept}
