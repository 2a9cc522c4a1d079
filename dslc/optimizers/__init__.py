"""How parameters are updated. One file per optimizer: the file's name is its name in the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import ClassVar

from dslc.language.arguments import BadValue, Positive, slots
from dslc.numerics import Array
from dslc.scalar import Scalar, variable

W, G = variable("w"), variable("g")
LR = variable("lr")
STEP = variable("step_number")


VARIABLE = ("beta", "beta1", "beta2", "momentum", "rho", "weight_decay")
"""The arguments that a search varies besides the learning rate."""
TRUST = variable("trust[0]")
"""One number for all elements of the parameter, from norms over them."""


@dataclass(frozen=True)
class Trust:
    """What `trust[0]` is: the `ratio`, a formula in double precision in `norm1`, `norm2`, ..., the Euclidean norms over
    the parameter of the formulas `of`. These read what the rule assigns before an assignment mentions `trust[0]`."""

    of: tuple[Scalar, ...]
    ratio: Scalar


@dataclass(frozen=True)
class Rule:
    """The update of one element. `once` are (name, formula) pairs, computed once in a step in double precision from
    `step_number`, counted from 1; `assignments` run in order on `w`, the gradient `g`, the states and `lr`. Those to
    names in `between` keep a result for the assignments that follow."""

    assignments: tuple[tuple[str, Scalar], ...]
    once: tuple[tuple[str, Scalar], ...] = ()
    between: frozenset[str] = frozenset()
    trust: Trust | None = None

    @property
    def before_trust(self) -> tuple[tuple[str, Scalar], ...]:
        """The assignments that the norms need: those before the first that mentions `trust[0]`."""
        return tuple(takewhile(lambda assignment: TRUST.code not in assignment[1].code, self.assignments))

    def at(self, factor: float) -> Rule:
        """The rule with `factor` times the learning rate."""
        if factor == 1:
            return self
        return replace(self, assignments=tuple((name, f.of("lr", factor * LR)) for name, f in self.assignments))

    @property
    def states(self) -> tuple[str, ...]:
        """The states that are assigned to, in order."""
        return self._states_in(self.assignments)

    @property
    def states_before_trust(self) -> tuple[str, ...]:
        """Those that the norms need."""
        return self._states_in(self.before_trust)

    def _states_in(self, assignments: tuple[tuple[str, Scalar], ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in assignments if name != "w" and name not in self.between))


@dataclass(frozen=True)
class Inner:
    """An argument that is an optimizer itself, `adam(0.001)`, which the checker reads from the syntax tree."""

    def convert(self, value: object) -> Optimizer:
        """The optimizer. Raises BadValue for anything else, and for one that has an optimizer inside itself."""
        if not isinstance(value, Optimizer):
            raise BadValue("expected an optimizer, such as adam(0.001)")
        if any(isinstance(slot.kind, Inner) for slot in slots(type(value))):
            raise BadValue("expected an optimizer that has no other inside, such as adam(0.001)")
        return value


class Optimizer:
    """Base class of all optimizers; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    examples: ClassVar[tuple[str, ...]] = ()
    lr: Positive

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        """Arguments that may be numbers at run time: when it is lowered, they are names. What is 0 is off."""
        return {name: value for name in VARIABLE if (value := getattr(self, name, 0))}

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
