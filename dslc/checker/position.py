"""Where a layer may be: augmentation and what is fitted to the data at the start only, and some layers not at the
end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dslc.checker.draft import Draft
from dslc.ir import Value
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers import Layer


@record
class NoLayers(Diagnostic):
    """An output that is an input: `net Nothing { input x: 4 }`."""

    name: str
    message = "there is no layer between the input and '{name}'"
    hints = ("help: a net needs at least one layer, such as dense(10)",)


@record
class DropoutAtTheEnd(Diagnostic):
    """Dropout as the last layer of an output: `dense(3) -> dropout(0.5)`."""

    message = "a dropout after the last layer drops predictions"
    hints = ("help: put it before the last dense or conv",)


@record
class NotFirst(Diagnostic):
    """A layer that is fitted to the data after another layer: `dense(3) -> standardize`."""

    layer: str
    message = "{layer} must come directly after an input"
    hints = ("it is fitted on the training set before training, when nothing else has learned yet",
             "help: move it there; to normalize values inside a network use batchnorm or layernorm")  # fmt: skip


@record
class NotWholeNumbers(Diagnostic):
    """A layer that looks up whole numbers after another layer: `dense(3) -> embedding(10, 4)`."""

    layer: str
    message = "{layer} takes whole numbers, so it must come directly after an input"
    hints = ("help: name the input that holds them: text -> {layer}(...)",)


@record
class AugmentsTooLate(Diagnostic):
    """Augmentation after a layer that computes something: `conv(4, 3x3) -> shift(1)`."""

    layer: str
    message = "{layer} must come directly after an input, standardize or another augmentation"
    hints = ("augmentation changes the examples, before anything is computed from them",
             "help: move it there; to disturb values inside a network use dropout")  # fmt: skip


@record
class AugmentsForNothing(Diagnostic):
    """Augmentation as the last layer of an output."""

    layer: str
    message = "no layer after {layer} could learn from it"
    hints = ("help: put a dense or conv after it",)


def misplaced(
    link: ast.Call, layer: Layer, inputs: Sequence[Value], given: Mapping[str, Value], drafts: Sequence[Draft]
) -> Diagnostic | None:
    """Why the layer cannot follow these values, or None. `given`: the net's inputs by name."""
    made = {draft.output: draft.layer for draft in drafts} if inputs[1:] or layer.augments else {}
    late = [value for value in inputs if given.get(value.name) != value]
    if layer.first and late:
        return NotFirst(link.span, link.name)
    counted = [inputs[place] for place in layer.whole_numbers(tuple(value.shape for value in inputs))]
    if any(value in late and not (value in made and made[value].counts) for value in counted):
        return NotWholeNumbers(link.span, link.name)
    if layer.augments and not all(made[value].first or made[value].augments for value in late):
        return AugmentsTooLate(link.span, link.name)
    return None


def wrong_ends(
    heads: Mapping[str, tuple[Value, Span]], drafts: Sequence[Draft], poisoned: bool
) -> Iterator[Diagnostic]:
    """Reports outputs without layers, and layers that must not be last. `poisoned`: a layer may only seem to be
    missing."""
    for name, (value, span) in heads.items():
        last = next((d for d in drafts if d.output == value), None)
        if last is None and not poisoned:
            yield NoLayers(span, name)
        if last is not None and last.layer.drops:
            yield DropoutAtTheEnd(last.call.span)
        if last is not None and last.layer.augments:
            yield AugmentsForNothing(last.call.span, last.kind)
