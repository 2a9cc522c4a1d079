"""adam: momentum and rmsprop with bias correction (notes: 'Adam optimization algorithm'; Kingma and Ba 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, STEP, G, Optimizer, Rule, W
from dslc.scalar import constant, power, sqrt, variable

V, S = variable("v"), variable("s")
V_CORRECTION, S_CORRECTION = variable("v_correction"), variable("s_correction")


@dataclass(frozen=True)
class Adam(Optimizer):
    """v = beta1 v + (1 - beta1) g; s = beta2 s + (1 - beta2) g^2; both divided by 1 - beta^t;
    w -= lr * v / (sqrt(s) + eps)."""

    lr: Positive = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8

    examples = ("adam(0.01)", "adam(0.01, beta1=0.5, beta2=0.9, eps=1e-3)")

    @property
    def states(self) -> tuple[str, ...]:
        """v and s, the averages of the gradients and of their squares."""
        return ("v", "s")

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class; the corrections 1 / (1 - beta^t) are computed once in a step."""
        step = LR * (V * V_CORRECTION) / (sqrt(S * S_CORRECTION) + self.eps)
        return Rule(
            (
                ("v", self.beta1 * V + (1 - self.beta1) * G),
                ("s", self.beta2 * S + (1 - self.beta2) * G * G),
                ("w", W - step),
            ),
            (
                ("v_correction", 1 / (1 - power(constant(self.beta1), STEP))),
                ("s_correction", 1 / (1 - power(constant(self.beta2), STEP))),
            ),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """v' = beta1 v + (1 - beta1) g, s' = beta2 s + (1 - beta2) g^2, w' = w - lr * v_c / (sqrt(s_c) + eps) with v_c
        = v' / (1 - beta1^t) and s_c = s' / (1 - beta2^t)."""
        v = self.beta1 * states["v"] + (1 - self.beta1) * g
        s = self.beta2 * states["s"] + (1 - self.beta2) * g**2
        v_corrected, s_corrected = v / (1 - self.beta1**step), s / (1 - self.beta2**step)
        return w - lr * v_corrected / (np.sqrt(s_corrected) + self.eps), {"v": v, "s": s}
