"""nadam: adam that looks ahead as Nesterov's momentum does (Dozat 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, STEP, G, Optimizer, Rule, W
from dslc.scalar import Scalar, constant, exact, nadam_product, power, sqrt, variable

V, S = variable("v"), variable("s")
V_SHARE, G_SHARE, S_CORRECTION = variable("v_share"), variable("g_share"), variable("s_correction")


@dataclass(frozen=True)
class Nadam(Optimizer):
    """v and s as in adam. With b_t = beta1 (1 - 0.96^(t * momentum_decay) / 2) and B_t = b_1 b_2 ... b_t, w -= lr * (g
    (1 - b_t) / (1 - B_t) + v b_(t+1) / (1 - B_(t+1))) / (sqrt(s / (1 - beta2^t)) + eps), as in PyTorch."""

    lr: Positive = 0.002
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8
    momentum_decay: Positive = 0.004

    examples = ("nadam(0.01)", "nadam(0.01, beta1=0.5, beta2=0.9, eps=1e-3, momentum_decay=0.5)")

    @property
    def states(self) -> tuple[str, ...]:
        """v and s, the averages of the gradients and of their squares."""
        return ("v", "s")

    def _momentum(self, step: Scalar) -> Scalar:
        return exact(self.beta1) * (1 - 0.5 * power(constant(0.96), step * self.momentum_decay))

    def _product(self, steps: Scalar) -> Scalar:
        return nadam_product(exact(self.beta1), self.momentum_decay, steps)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike; the shares of g and v come once in a step."""
        following = STEP + 1
        return Rule(
            (
                ("v", self.beta1 * V + (1 - self.beta1) * G),
                ("s", self.beta2 * S + (1 - self.beta2) * G * G),
                ("w", W - LR * (G * G_SHARE + V * V_SHARE) / (sqrt(S * S_CORRECTION) + self.eps)),
            ),
            (
                ("g_share", (1 - self._momentum(STEP)) / (1 - self._product(STEP))),
                ("v_share", self._momentum(following) / (1 - self._product(following))),
                ("s_correction", 1 / (1 - power(exact(self.beta2), STEP))),
            ),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The formulas of the class, with the products multiplied out."""
        momenta = self.beta1 * (1 - 0.5 * 0.96 ** (np.arange(1, step + 2) * self.momentum_decay))
        product = float(np.prod(momenta[:-1]))
        now, following = float(momenta[-2]), float(momenta[-1])
        v = self.beta1 * states["v"] + (1 - self.beta1) * g
        s = self.beta2 * states["s"] + (1 - self.beta2) * g**2
        direction = (1 - now) / (1 - product) * g + following / (1 - product * following) * v
        return w - lr * direction / (np.sqrt(s / (1 - self.beta2**step)) + self.eps), {"v": v, "s": s}
