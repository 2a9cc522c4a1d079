"""Names: which are allowed, what they mean, and whether they are used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field

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


NOT_WANTED = "_"
"""In place of a name: a result that nothing is to use, `a, _ = split`."""


@record
class NothingWanted(Diagnostic):
    """`_` where a name is needed: `_ = dense(8)`, or for all results."""

    message = "'_' stands for a result that is not wanted, and here one must have a name"
    hints = ("help: of several results it leaves some out: a, _ = ...",)


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
    site: Span | None = field(default=None, compare=False)
    message = "the {what} '{name}' is never used"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to do, and which call of the block it is about."""
        return ("help: use it or remove it", *in_block(self.site))


@record
class DeadEnd(Diagnostic):
    """A layer whose result is lost, because the next statement starts from another value."""

    name: str
    site: Span | None = field(default=None, compare=False)
    message = "the result of {name} is never used"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to do, which is to use it in a block, and there which call of the block it is about."""
        outside = ", or declare it: output NAME = ..." if self.site is None else ""
        return (f"help: continue from it{outside}", *in_block(self.site))


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
        if self.name == NOT_WANTED:
            return ("help: '_' stands for results that are not wanted; give this one a name to use it",)
        if self.name == "in":
            return ("help: 'in' is what flows into a block; outside give the value a name: h = ...",)
        inside = "help: a block sees only its own values; 'in' is its input" if self.in_block else ""
        return (did_you_mean(self.name, self.known) or inside,)


@record
class ValueTooEarly(Diagnostic):
    """A value used above its definition, or in it: `h = dense(8) -> add(h)`."""

    name: str
    message = "the value '{name}' is used before it is made"
    hints = ("help: values are made from top to bottom; a value cannot depend on itself",)


@record
class ValueOfOtherBranch(Diagnostic):
    """A value that only the branch of a `when` that is not taken makes."""

    name: str
    when: Span

    @property
    def title(self) -> str:
        """Names the line of the `when`."""
        return (
            f"the value '{self.name}' is not made here: the branch of line {self.when.line} that makes it is not taken"
        )

    hints = ("help: make it in both branches, or use it in that branch only",)


def in_block(site: Span | None) -> tuple[str, ...]:
    """The line of a diagnostic about the inside of a block that says which call it is about; none outside."""
    return () if site is None else (f"in the block that line {site.line} calls: {site.text}",)


def dead_ends(
    inputs: Collection[str],
    values: Mapping[str, tuple[Value | None, Span]],
    drafts: Sequence[Draft],
    used: Collection[str],
    ends: Mapping[str, Diagnostic],
) -> Iterator[Diagnostic]:
    """Reports inputs and results of layers that are not used. `values`: those with names; `used`: names that are read;
    `ends`: what to say of each result. A place in a block is reported once."""
    for name in inputs:
        if name not in used:
            yield NeverUsed(values[name][1], "input", name)
    lost = [ends[draft.output.name] for draft in drafts if draft.output.name not in used and draft.output.name in ends]
    yield from {found.span: found for found in reversed(lost)}.values()
