"""Settings without effect, which can only be found when all layers and all of `train` are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from dslc.checker.draft import Draft
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers.conv import Conv
from dslc.regularizers import Penalty, Regularizer
from dslc.winograd import suits


@record
class NothingToRegularize(Diagnostic):
    """A regularizer that reaches no weights: `regularize l2(0.1)` in a net without dense or conv."""

    name: str
    reason: str
    message = "{name} has no effect: {reason}"


@record
class FrozenIsPenalized(Diagnostic):
    """An argument about how weights change where they do not: `dense(5, l1=0.5, freeze=on)`."""

    argument: str
    layer: str
    message = "{argument}= has no effect: {layer} is frozen"
    hints = ("help: remove it, or let {layer} learn",)


@record
class NothingToInit(Diagnostic):
    """An init that no layer uses: `init he` where every layer has init= of its own."""

    reason: str
    message = "init has no effect: {reason}"


@record
class NothingToBePrecise(Diagnostic):
    """`precise on` in a network without a convolution that Winograd's algorithms could compute."""

    message = "precise has no effect: every layer is already computed as precisely as possible"
    hints = ("help: it is for 3x3 and 5x5 convolutions without stride, dilation and groups, and there are none here",)


@record
class NothingInBf16(Diagnostic):
    """`precision mixed` in a network without a dense layer."""

    message = "precision mixed has no effect: there is no dense layer"
    hints = ("help: it multiplies in bf16 in dense layers, where that is faster; without them write precision float32",)


def useless_regularizers(
    drafts: Sequence[Draft], frozen: Collection[str], wanted: Sequence[tuple[Regularizer, Span]]
) -> Iterator[Diagnostic]:
    """Reports the regularizers of `train` that reach no weights; those of strength 0 are off on purpose. `frozen`:
    names of layers."""
    weighted = [d for d in drafts if d.decays]
    learning = [d for d in weighted if d.learner not in frozen]
    for regularizer, span in wanted:
        if not regularizer.strength:
            continue
        if not weighted:
            yield NothingToRegularize(span, span.text, "no layer has weights")
        elif not learning:
            yield NothingToRegularize(span, span.text, "all weights are frozen")
        elif all(d.penalized if isinstance(regularizer, Penalty) else d.constrained for d in learning):
            others = "that learns " if len(learning) < len(weighted) else ""
            own = "l1= or l2=" if isinstance(regularizer, Penalty) else "max_norm="
            reason = f"every layer with weights {others}has {own} of its own"
            yield NothingToRegularize(span, span.text, reason)


def frozen_penalties(drafts: Sequence[Draft], frozen: Collection[str]) -> Iterator[Diagnostic]:
    """Reports `l1=`, `l2=`, `max_norm=` and `lr_factor=` of layers that do not learn. In a block that is called
    twice, one call that learns is enough."""
    by_call: dict[Span, list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_call[draft.call.span].append(draft)
    for same in by_call.values():
        if all(draft.learner in frozen for draft in same):
            for argument in same[0].call.arguments or ():
                if argument.name in ("l1", "l2", "max_norm", "lr_factor"):
                    yield FrozenIsPenalized(argument.span, argument.name, same[0].learner)


def useless_init(drafts: Sequence[Draft], span: Span) -> Iterator[Diagnostic]:
    """Reports the init of `train` if no layer uses it."""
    asking = [d for d in drafts if any(w.init is None for w in d.weights)]
    if not asking:
        yield NothingToInit(span, "no layer has weights")
    elif all(d.initialized for d in asking):
        yield NothingToInit(span, "every layer with weights has init= of its own")


def useless_precise(drafts: Sequence[Draft], span: Span) -> Iterator[Diagnostic]:
    """`precise on` where no convolution has an algorithm that is less accurate than others."""
    convolutions = [d.layer for d in drafts if isinstance(d.layer, Conv)]
    if not any(suits(conv.size, conv.stride, conv.dilation, conv.groups) for conv in convolutions):
        yield NothingToBePrecise(span)


def useless_mixed(drafts: Sequence[Draft], span: Span) -> Iterator[Diagnostic]:
    """`precision mixed` where no layer has products in bf16."""
    if all(d.layer.with_bf16() == d.layer for d in drafts):
        yield NothingInBf16(span)
