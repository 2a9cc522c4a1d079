"""How parameters are updated. One file per optimizer: the file's name is its name in the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dslc.language.arguments import Positive
from dslc.numerics import Array
from dslc.scalar import Scalar, variable

W, G = variable("w"), variable("g")
LR = variable("lr")
STEP = variable("step_number")


@dataclass(frozen=True)
class Rule:
    """The update of one element. `once` are (name, formula) pairs, computed once in a step in double precision from
    `step_number`, counted from 1; `assignments` run in order on `w`, the gradient `g`, the states and `lr`. Those to
    names in `between` keep a result for the assignments that follow."""

    assignments: tuple[tuple[str, Scalar], ...]
    once: tuple[tuple[str, Scalar], ...] = ()
    between: frozenset[str] = frozenset()

    @property
    def states(self) -> tuple[str, ...]:
        """The states that are assigned to, in order."""
        return tuple(name for name, _ in self.assignments if name != "w" and name not in self.between)


class Optimizer:
    """Base class of all optimizers; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    examples: ClassVar[tuple[str, ...]] = ()
    lr: Positive

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the arrays kept for each parameter, all zero at the start."""
        return ()

    def rule(self, decays: bool) -> Rule:
        """The update as formulas; `decays` is true for weights and false for biases."""
        raise NotImplementedError

    def reference(
        self, w: Array, g: Array, states: Mapping[str, Array], lr: float, step: int, decays: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The update in NumPy: the new parameter and the new states. `step` counts from 1."""
        raise NotImplementedError
