"""`tower = shared { ... }`: every call makes its layers anew, with the parameters of the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dslc.checker.draft import Draft
from dslc.checker.expressions import Scope
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.shape import Shape, show_shape


@record
class SharedDiffers(Diagnostic):
    """A call of shared layers that needs other parameters than the first: with 4 features, and then with 5."""

    name: str
    first: Span
    reason: str

    @property
    def title(self) -> str:
        """Gives the line of the first call."""
        return f"'{self.name}' shares the parameters of its call in line {self.first.line}, which do not fit here"

    @property
    def label(self) -> str:
        """What differs."""
        return self.reason


@record
class SharedTakesNothing(Diagnostic):
    """A call of shared layers with arguments: `tower(8)`."""

    name: str
    message = "'{name}' takes no arguments: all its calls are alike"
    hints = ("help: write -> {name}",)


@dataclass
class Tower:
    """Shared layers: where they are declared, the scope there, and once they were called the drafts and place of the
    first call. `calls` counts the calls."""

    declaration: ast.Shared
    scope: Scope
    drafts: Sequence[Draft] = ()
    first: Span | None = None
    calls: int = 0


def shared(tower: Tower, link: ast.Call, made: Sequence[Draft], scope: Scope) -> list[Draft]:
    """The drafts of one call with those of the first as owners of the parameters. Raises Failed after reporting."""
    if tower.first is None:
        tower.drafts, tower.first = tuple(made), link.span
        return list(made)
    if len(made) != len(tower.drafts):
        reason = f"it has {len(made)} layers here and {len(tower.drafts)} there"
        raise scope.fail(SharedDiffers(link.span, tower.declaration.name, tower.first, reason))
    for own, first in zip(made, tower.drafts, strict=True):
        if reason := _difference(own, first):
            raise scope.fail(SharedDiffers(link.span, tower.declaration.name, tower.first, reason))
    return [replace(own, owner=first.owner or first.name) for own, first in zip(made, tower.drafts, strict=True)]


def _difference(own: Draft, first: Draft) -> str:
    """Why a draft cannot use the parameters of another, in words."""
    there, here = _shapes(first), _shapes(own)
    if own.layer != first.layer and (there or here):
        return f"{first.call.span.text} there is {own.call.span.text} here"
    differing = next((role for role in there if there[role] != here.get(role)), None)
    if differing is None:
        return ""
    return f"{first.name}.{differing} is {show_shape(there[differing])}, and would be {show_shape(here[differing])}"


def _shapes(draft: Draft) -> dict[str, Shape]:
    return {w.role: w.shape for w in draft.layer.parameters(tuple(v.shape for v in draft.inputs))}
