"""Names: which are allowed, what they mean, and whether they are used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from dslc.checker.draft import Draft
from dslc.ir import Value
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.language.source import Span


@record
class Redefined(Diagnostic):
    """A second definition: `h = dense(8)` twice."""

    name: str
    first: Span

    @property
    def title(self) -> str:
        """Gives the line of the first definition."""
        return f"'{self.name}' already has a meaning: line {self.first.line}"


@record
class NamedLike(Diagnostic):
    """A value or block with the name of a layer, block or param: `softmax = dense(8)`."""

    name: str
    what: str
    message = "'{name}' is already the name of a {what}"


@record
class NeverUsed(Diagnostic):
    """An input, value, param or block that nothing refers to."""

    what: str
    name: str
    message = "the {what} '{name}' is never used"
    hints = ("help: use it or remove it",)


@record
class DeadEnd(Diagnostic):
    """A layer whose result is lost, because the next statement starts from another value."""

    name: str
    message = "the result of {name} is never used"
    hints = ("help: continue from it, or declare it: output NAME = ...",)


@record
class UnknownName(Diagnostic):
    """A name that nothing has: `hiden(8)` where the block is called hidden. `value_wanted`: only a
    value can be here, as in `add(skp)`."""

    name: str
    known: tuple[str, ...]
    in_block: bool
    value_wanted: bool = False

    @property
    def title(self) -> str:
        """Says what the name could have been."""
        if self.value_wanted:
            return f"there is no value called '{self.name}' here"
        return f"'{self.name}' is neither a layer, a block nor a value"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest name; inside a block, a reminder that it sees only its own values."""
        inside = "help: a block sees only its own values; 'in' is its input" if self.in_block else ""
        return (did_you_mean(self.name, self.known) or inside,)


@record
class ValueTooEarly(Diagnostic):
    """A value used above its definition, or in it: `h = dense(8) -> add(h)`."""

    name: str
    message = "the value '{name}' is used before it is made"
    hints = ("help: values are made from top to bottom; a value cannot depend on itself",)


def dead_ends(
    inputs: Collection[str],
    values: Mapping[str, tuple[Value | None, Span]],
    drafts: Sequence[Draft],
    used: Collection[str],
) -> Iterator[Diagnostic]:
    """Reports inputs, values and layers whose result is not used. `values`: those with names; `used`: names that are
    read."""
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
