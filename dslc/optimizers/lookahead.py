"""lookahead: k steps of another optimizer, then a step of slow weights towards where it got (Zhang et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from dslc.language.arguments import Count, Real
from dslc.numerics import Array, np
from dslc.optimizers import Inner, Optimizer, Rule, W
from dslc.scalar import Scalar, variable, where

SLOW, BEGINS, MEETS = variable("slow"), variable("begins"), variable("meets")


@dataclass(frozen=True)
class Lookahead(Optimizer):
    """The parameters go with the optimizer; every k updates slow += alpha (w - slow) and w = slow. The slow weights
    begin as the parameters do; the optimizer keeps its states."""

    optimizer: Annotated[Optimizer, Inner()]
    k: Count = 5
    alpha: Annotated[float, Real(0, 1, open_low=True)] = 0.5
    lr: float = field(init=False)

    examples = ("lookahead(adam(0.01), k=3, alpha=0.8)", "lookahead(sgd(0.1, momentum=0.9))")

    def __post_init__(self) -> None:
        """The learning rate is that of the optimizer."""
        object.__setattr__(self, "lr", self.optimizer.lr)

    @property
    def states(self) -> tuple[str, ...]:
        """The slow weights, and the states of the optimizer."""
        return ("slow", *self.optimizer.states)

    def rule(self, decays: bool) -> Rule:
        """The optimizer's rule between the first and the last line of the class."""
        inner = self.optimizer.rule(decays)
        assignments = (
            ("slow", where(BEGINS > 0, W, SLOW)),
            *inner.assignments,
            ("slow", where(MEETS > 0, SLOW + self.alpha * (W - SLOW), SLOW)),
            ("w", where(MEETS > 0, SLOW, W)),
        )
        once = (
            ("begins", Scalar("step_number == 1 ? 1 : 0", 1)),
            ("meets", Scalar(f"fmod(step_number, {self.k}) == 0 ? 1 : 0", 1)),
        )
        return Rule(assignments, (*inner.once, *once), inner.between, inner.trust)

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The optimizer's step from w, and after every k of them w and slow meet at slow + alpha (w - slow)."""
        slow = w if step == 1 else states["slow"]
        fast, kept = self.optimizer.reference(w, g, states, lr, step, decays)
        if step % self.k == 0:
            fast = slow = slow + self.alpha * (np.asarray(fast) - slow)
        return fast, {"slow": slow, **kept}
