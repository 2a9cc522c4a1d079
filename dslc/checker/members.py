"""Sizes of values in expressions: `in.channels`."""

from __future__ import annotations

from dslc.checker.arithmetic import Impossible
from dslc.ir import Value
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.shape import show_shape

MEMBERS = {1: ("features",), 2: ("steps", "channels"), 3: ("height", "width", "channels")}
"""What the numbers of a size are called, by how many there are."""


@record
class NoMember(Diagnostic):
    """A size that a value does not have: `in.channels` of a vector."""

    name: str
    member: str
    size: str
    known: tuple[str, ...]

    @property
    def title(self) -> str:
        """Gives the size that the value has."""
        return f"'{self.name}' has no {self.member}: its size is {self.size}"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest size, or all that the value has."""
        listed = " and ".join(f"{self.name}.{member}" for member in self.known)
        return (did_you_mean(self.member, self.known) or f"help: there is only {listed}",)


def size_of(expr: ast.Member, value: Value) -> int:
    """The size that is named. Raises Impossible if the value has none of this name."""
    known = MEMBERS[len(value.shape)]
    if expr.member not in known:
        raise Impossible(NoMember(expr.span, expr.name, expr.member, show_shape(value.shape), known))
    return value.shape[known.index(expr.member)]
