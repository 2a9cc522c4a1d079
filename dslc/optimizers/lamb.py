"""lamb: adam with steps in proportion to the norm of the weights, for large mini-batches (You et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, NonNegative, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, STEP, TRUST, G, Optimizer, Rule, Trust, W
from dslc.scalar import exact, power, sqrt, variable, where

V, S, DIRECTION = variable("v"), variable("s"), variable("direction")
V_CORRECTION, S_CORRECTION = variable("v_correction"), variable("s_correction")
NORM, STEP_NORM = variable("norm1"), variable("norm2")


@dataclass(frozen=True)
class Lamb(Optimizer):
    """v, s and their corrections as in adam; d = v / (sqrt(s) + eps) + weight_decay * w; w -= lr * |w| / |d| * d with
    norms over the whole parameter (algorithm 2).

    Where a norm is 0 their quotient is taken as 1, and for all but weights too, which do not decay either, as in the
    authors' program.
    """

    lr: Positive = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-6
    weight_decay: NonNegative = 0.01

    examples = ("lamb(0.01)", "lamb(0.01, beta1=0.5, beta2=0.9, eps=1e-3, weight_decay=0.3)")

    @property
    def states(self) -> tuple[str, ...]:
        """v and s, the averages of the gradients and of their squares."""
        return ("v", "s")

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class; the corrections 1 / (1 - beta^t) are computed once in a step."""
        direction = V * V_CORRECTION / (sqrt(S * S_CORRECTION) + self.eps)
        return Rule(
            (
                ("v", self.beta1 * V + (1 - self.beta1) * G),
                ("s", self.beta2 * S + (1 - self.beta2) * G * G),
                ("direction", direction + self.weight_decay * W if decays and self.weight_decay else direction),
                ("w", W - LR * TRUST * DIRECTION if decays else W - LR * DIRECTION),
            ),
            (
                ("v_correction", 1 / (1 - power(exact(self.beta1), STEP))),
                ("s_correction", 1 / (1 - power(exact(self.beta2), STEP))),
            ),
            frozenset({"direction"}),
            Trust((W, DIRECTION), where(NORM * STEP_NORM > 0, NORM / STEP_NORM, 1)) if decays else None,
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The formulas of the class."""
        v = self.beta1 * states["v"] + (1 - self.beta1) * g
        s = self.beta2 * states["s"] + (1 - self.beta2) * g**2
        direction = v / (1 - self.beta1**step) / (np.sqrt(s / (1 - self.beta2**step)) + self.eps)
        trust = 1.0
        if decays:
            direction = direction + self.weight_decay * w
            norm, step_norm = np.sqrt((w**2).sum()), np.sqrt((direction**2).sum())
            trust = norm / step_norm if norm > 0 and step_norm > 0 else 1.0
        return w - lr * trust * direction, {"v": v, "s": s}
