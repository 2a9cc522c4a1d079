"""adagrad: steps divided by the root of the sum of all squares so far (Duchi et al. 2011)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.numerics import Array, np
from dslc.optimizers import LR, G, Optimizer, Rule, W
from dslc.scalar import sqrt, variable

S = variable("s")


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """s = s + g^2; w -= lr * g / (sqrt(s) + eps), as in PyTorch and ONNX."""

    lr: Positive = 0.01
    eps: Positive = 1e-8

    examples = ("adagrad(0.1)", "adagrad(0.1, eps=1e-3)")

    @property
    def states(self) -> tuple[str, ...]:
        """s, the sum of the squares of all gradients."""
        return ("s",)

    def rule(self, decays: bool) -> Rule:
        """The formulas of the class, for weights and biases alike."""
        return Rule((("s", S + G * G), ("w", W - LR * G / (sqrt(S) + self.eps))))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """s' = s + g^2, w' = w - lr * g / (sqrt(s') + eps)."""
        s = states["s"] + g**2
        return w - lr * g / (np.sqrt(s) + self.eps), {"s": s}
