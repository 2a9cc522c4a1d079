"""adamw: adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.language.arguments import NonNegative
from dslc.numerics import Array
from dslc.optimizers import LR, Rule, W
from dslc.optimizers.adam import Adam


@dataclass(frozen=True)
class AdamW(Adam):
    """First w -= lr * weight_decay * w, for weights only, then Adam's update."""

    weight_decay: NonNegative = 0.01

    examples = ("adamw(0.01)", "adamw(0.01, weight_decay=0.3)", "adamw(0.01, beta2=0.6, amsgrad=on)")

    def rule(self, decays: bool) -> Rule:
        """The decay as the first assignment, unless there is nothing to decay."""
        rule = super().rule(decays)
        if not decays or not self.weight_decay:
            return rule
        return replace(rule, assignments=(("w", W - LR * self.weight_decay * W), *rule.assignments))

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """Adam's update of w - lr * weight_decay * w (Loshchilov and Hutter 2019, algorithm 2)."""
        shrunk = w - lr * self.weight_decay * w if decays else w
        return super().reference(shrunk, g, states, lr, step, decays)
