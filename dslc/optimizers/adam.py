"""adam: momentum and rmsprop with bias correction (notes: 'Adam optimization algorithm'; Kingma and Ba 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dslc.language.arguments import Flag, Fraction, Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, STEP, G, Optimizer, Rule, W
from dslc.scalar import exact, larger, power, sqrt, variable

V, S, S_MAX = variable("v"), variable("s"), variable("s_max")
V_CORRECTION, S_CORRECTION = variable("v_correction"), variable("s_correction")


@dataclass(frozen=True)
class Adam(Optimizer):
    """v = beta1 v + (1 - beta1) g; s = beta2 s + (1 - beta2) g^2; both divided by 1 - beta^t;
    w -= lr * v / (sqrt(s) + eps). With amsgrad the largest s so far, before its correction, stands in place of s, as in
    PyTorch (Reddi et al. 2018)."""

    lr: Positive = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8
    amsgrad: Flag = field(default=False, kw_only=True)

    examples = ("adam(0.01)", "adam(0.01, beta1=0.5, beta2=0.9, eps=1e-3)", "adam(0.01, beta2=0.6, amsgrad=on)")

    @property
    def states(self) -> tuple[str, ...]:
        """v and s, the averages of the gradients and of their squares; with amsgrad the largest s so far."""
        return ("v", "s", "s_max") if self.amsgrad else ("v", "s")

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class; the corrections 1 / (1 - beta^t) are computed once in a step."""
        square = S_MAX if self.amsgrad else S
        step = LR * (V * V_CORRECTION) / (sqrt(square * S_CORRECTION) + self.eps)
        return Rule(
            (
                ("v", self.beta1 * V + (1 - self.beta1) * G),
                ("s", self.beta2 * S + (1 - self.beta2) * G * G),
                *((("s_max", larger(S_MAX, S)),) if self.amsgrad else ()),
                ("w", W - step),
            ),
            (
                ("v_correction", 1 / (1 - power(exact(self.beta1), STEP))),
                ("s_correction", 1 / (1 - power(exact(self.beta2), STEP))),
            ),
        )

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """v' = beta1 v + (1 - beta1) g, s' = beta2 s + (1 - beta2) g^2, w' = w - lr * v_c / (sqrt(s_c) + eps) with v_c
        = v' / (1 - beta1^t) and s_c = s' / (1 - beta2^t); with amsgrad s_c = max(all s so far) / (1 - beta2^t)."""
        v = self.beta1 * states["v"] + (1 - self.beta1) * g
        s = self.beta2 * states["s"] + (1 - self.beta2) * g**2
        new = {"v": v, "s": s}
        if self.amsgrad:
            new["s_max"] = s = np.maximum(states["s_max"], s)
        v_corrected, s_corrected = v / (1 - self.beta1**step), s / (1 - self.beta2**step)
        return w - lr * v_corrected / (np.sqrt(s_corrected) + self.eps), new
