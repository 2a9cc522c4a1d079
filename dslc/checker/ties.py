"""`dense(words, tie=embedding1)`: a layer whose weight is that of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dslc.checker.draft import TIED, Draft, Tie
from dslc.checker.expressions import Scope
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.layers import Layer
from dslc.layers.dense import Dense
from dslc.layers.embedding import Embedding
from dslc.shape import Shape, show_shape


@record
class NoSuchTie(Diagnostic):
    """`tie=` with something other than an earlier layer with a fitting weight: `dense(5, tie=relu1)`."""

    reason: str
    hint: str = ""
    message = "{reason}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to write instead, if that is known."""
        return (self.hint,)


@record
class TiedArgument(Diagnostic):
    """An argument about a weight that another layer owns: `dense(5, tie=embedding1, init=he)`."""

    argument: str
    owner: str
    message = "{argument}= has no place here: the weight is that of {owner}"
    hints = ("help: write it at {owner}",)


def tied(
    link: ast.Call, layer: Layer, shapes: tuple[Shape, ...], drafts: Sequence[Draft], scope: Scope
) -> tuple[Layer, Tie | None]:
    """The layer with what it must know of its weight, and whose that is; None if it has its own. Raises Failed after
    reporting a `tie=` that does not fit."""
    if not isinstance(layer, Dense) or layer.tie is None:
        return layer, None
    argument = next(a for a in link.arguments or () if a.name == "tie" or (not a.name and _word(a) == layer.tie))
    other = next((draft for draft in drafts if draft.name == layer.tie), None)
    if other is None:
        raise scope.fail(NoSuchTie(argument.value.span, f"no layer before this one is called '{layer.tie}'",
                                   _meant(layer.tie, drafts, scope)))  # fmt: skip
    if other.tie is not None:
        reason, hint = f"{other.name} has no weight of its own", f"help: tie={other.tie.owner}"
        raise scope.fail(NoSuchTie(argument.value.span, reason, hint))
    if not isinstance(other.layer, (Dense, Embedding)):
        reason = f"{other.name} has no weight that a dense layer could have: only embeddings and dense layers do"
        raise scope.fail(NoSuchTie(argument.value.span, reason))
    layer = replace(layer, turned=isinstance(other.layer, Dense))
    there, here = _weight(other.layer, tuple(v.shape for v in other.inputs)), _weight(layer, shapes)
    if there != here:
        reason = f"{other.name}.{TIED} is {show_shape(there)}, and would have to be {show_shape(here)}"
        raise scope.fail(NoSuchTie(argument.value.span, reason))
    first = any(draft.tie is not None and draft.tie.owner == (other.owner or other.name) for draft in drafts)
    tie = Tie(other.owner or other.name, isinstance(other.layer, Embedding) and not first)
    for given in (a for a in link.arguments or () if a.name in _elsewhere(tie)):
        raise scope.fail(TiedArgument(given.span, str(given.name), tie.owner))
    return layer, tie


def _word(argument: ast.Argument) -> str:
    return argument.value.name if isinstance(argument.value, ast.Name) else ""


def _weight(layer: Layer, shapes: tuple[Shape, ...]) -> Shape:
    return next(w.shape for w in layer.parameters(shapes) if w.role == TIED)


def _elsewhere(tie: Tie) -> tuple[str, ...]:
    """The arguments that only the owner of the weight takes."""
    of_owner = ("init", "freeze", "lr_factor")
    return of_owner if tie.decays else (*of_owner, "l1", "l2", "max_norm")


def _meant(name: str, drafts: Sequence[Draft], scope: Scope) -> str:
    """The layer that was probably meant: the one that makes the value of this name, or one with a similar name."""
    value = scope.flows[name][0] if name in scope.flows else None
    maker = next((draft.name for draft in drafts if draft.output == value), None)
    if maker is not None:
        return f"help: the value '{name}' is made by {maker}: tie={maker}, or give that layer the name: name={name}"
    return did_you_mean(name, [draft.name for draft in drafts])
