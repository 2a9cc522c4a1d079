"""Names: what they may be, what they mean, and whether anybody uses them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from dslc.checker.draft import Draft
from dslc.ir import Value
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.language.source import Span


@record
class Redefined(Diagnostic):
    name: str
    first: Span

    @property
    def title(self) -> str:
        return f"'{self.name}' already has a meaning: line {self.first.line}"


@record
class NamedLike(Diagnostic):
    name: str
    what: str
    message = "'{name}' is the name of a {what} and cannot name anything else"


@record
class NeverUsed(Diagnostic):
    what: str
    name: str
    message = "the {what} '{name}' is never used"
    hints = ("help: use it or take it out",)


@record
class DeadEnd(Diagnostic):
    name: str
    message = "the result of {name} goes nowhere"
    hints = ("help: continue from it, or declare it: output NAME = ...",)


@record
class UnknownName(Diagnostic):
    name: str
    known: tuple[str, ...]
    in_block: bool
    value_wanted: bool = False

    @property
    def title(self) -> str:
        if self.value_wanted:
            return f"there is no value called '{self.name}' here"
        return f"'{self.name}' is neither a layer, a block nor a value"

    @property
    def notes(self) -> tuple[str, ...]:
        inside = "help: a block sees only its own values; 'in' is what flows into it" if self.in_block else ""
        return (did_you_mean(self.name, self.known) or inside,)


@record
class ValueTooEarly(Diagnostic):
    name: str
    message = "the value '{name}' is used before it is made"
    hints = ("help: values are made from top to bottom; a value cannot depend on itself",)


def dead_ends(
    inputs: Collection[str],
    values: Mapping[str, tuple[Value | None, Span]],
    drafts: Sequence[Draft],
    used: Collection[str],
) -> Iterator[Diagnostic]:
    """Inputs, values and layers whose result nobody uses. `values`: those that have names; `used`: what is read."""
    for name in inputs:
        if name not in used:
            yield NeverUsed(values[name][1], "input", name)
    named = {v.name: (n, span) for n, (v, span) in values.items() if v is not None}
    for draft in drafts:
        if draft.output.name in used:
            continue
        if draft.output.name in named:
            yield NeverUsed(named[draft.output.name][1], "value", named[draft.output.name][0])
        else:
            yield DeadEnd(draft.span, draft.name)
