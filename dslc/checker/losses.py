"""The loss of each head, and whether the head ends as the loss requires."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dslc import losses
from dslc.checker.draft import Draft
from dslc.checker.expressions import Scope, as_call, resolve
from dslc.ir import Value
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.language.source import Span
from dslc.losses import Loss
from dslc.shape import SizeProblem

Heads = Mapping[str, tuple[Value, Span]]


@record
class UnknownHead(Diagnostic):
    """A loss for an output that is not there: `loss prise: mse` where no output is called prise."""

    name: str
    known: tuple[str, ...]
    message = "the network has no output '{name}'"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest output, or all outputs."""
        return (did_you_mean(self.name, self.known) or f"help: its outputs: {', '.join(self.known)}",)


@record
class HeadWithoutLoss(Diagnostic):
    """A second output without its line of `loss`: `output price = trunk -> dense(1)`."""

    name: str
    message = "the output '{name}' has no loss"
    hints = ("help: loss {name}: mse",)


@record
class WhichHead(Diagnostic):
    """A loss that may belong to any of several outputs: `loss cross_entropy`."""

    heads: tuple[str, ...]
    message = "this network has several outputs: say which one this loss is for"

    @property
    def notes(self) -> tuple[str, ...]:
        """The line as it would be for the first output."""
        return (f"help: loss {self.heads[0]}: {self.span.text}",)


@record
class LossNeedsActivation(Diagnostic):
    """A head that does not end in the loss's activation: `dense(3)` with `loss cross_entropy`."""

    loss: str
    activation: str
    head: str
    message = "{loss} needs {activation} as the last layer of '{head}'"
    hints = ("help: end the chain with -> {activation}",)


@record
class LossOfScores(Diagnostic):
    """A head that ends in an activation that the loss must not see: `dense(3) -> softmax` with `loss hinge`."""

    loss: str
    activation: str
    head: str
    message = "{loss} needs unbounded scores, but '{head}' ends in {activation}"
    hints = ("help: remove the {activation}",)


@record
class LossDoesNotFit(Diagnostic):
    """An output of the wrong size for its loss: `dense(1) -> softmax` with `loss cross_entropy`."""

    problem: SizeProblem = field(compare=False)

    @property
    def title(self) -> str:
        """What the loss says."""
        return self.problem.title

    @property
    def notes(self) -> tuple[str, ...]:
        """The loss's help."""
        return self.problem.notes


@record
class LengthsOfNoInput(Diagnostic):
    """The steps of each example from something that is no input of one number: `loss ctc(9, lengths=h)`."""

    loss: str
    name: str
    message = "lengths of {loss} is the name of an input of one number, and '{name}' is none"
    hints = ("help: declare one with input {name}: 1",)


def inputs_of_losses(train: ast.TrainDecl | None) -> Iterator[str]:
    """The words that losses give as `lengths=`: inputs that they read."""
    for setting in (s for s in train.settings if s.key == "loss") if train is not None else ():
        call = as_call(setting.values[0])
        for argument in (call.arguments or ()) if call is not None else ():
            if argument.name == "lengths" and isinstance(argument.value, ast.Name):
                yield argument.value.name


@dataclass(frozen=True)
class LossReader:
    """Reads the `loss` settings of one network. `lost`: heads whose chains failed; `losses`: the result, by head;
    `inputs`: those of the network; `skipped`: heads of branches that are not taken, among other names."""

    scope: Scope
    heads: Heads
    drafts: Sequence[Draft]
    lost: Collection[str]
    losses: dict[str, Loss]
    inputs: Mapping[str, Value]
    skipped: Collection[str]

    def read(self, setting: ast.Setting) -> None:
        """One `loss` setting. Raises Failed after reporting."""
        loss = resolve(losses, Loss, "loss", setting.values[0], self.scope)
        head = self._head_of(setting)
        if head is not None:
            self.losses[head] = loss
            self._check(loss, head, setting)

    def report_missing(self) -> None:
        """Reports every head without a loss."""
        for name, (_, span) in self.heads.items():
            if name not in self.losses:
                self.scope.report(HeadWithoutLoss(span, name))

    def _head_of(self, setting: ast.Setting) -> str | None:
        known = (*self.heads, *self.lost)
        if not known:
            return None
        if setting.head is None and len(known) > 1:
            raise self.scope.fail(WhichHead(setting.values[0].span, known))
        name = known[0] if setting.head is None else setting.head.name
        if setting.head is not None and name not in (*known, *self.skipped):
            raise self.scope.fail(UnknownHead(setting.head.span, name, known))
        return name if name in self.heads else None

    def _check(self, loss: Loss, head: str, setting: ast.Setting) -> None:
        value = self.heads[head][0]
        last = next((d for d in self.drafts if d.output == value), None)
        call = as_call(setting.values[0])
        assert call is not None
        if last is None:
            return  # the head is an input, which is reported as NoLayers
        if loss.through is not None and last.kind != loss.through:
            raise self.scope.fail(LossNeedsActivation(call.name_span, call.name, loss.through, head))
        if loss.lengths is not None and getattr(self.inputs.get(loss.lengths), "shape", ()) != (1,):
            raise self.scope.fail(LengthsOfNoInput(call.span, call.name, loss.lengths))
        if loss.scores and last.kind in ("softmax", "sigmoid"):
            raise self.scope.fail(LossOfScores(call.name_span, call.name, last.kind, head))
        try:
            loss.check(value.shape)
        except SizeProblem as problem:
            raise self.scope.fail(LossDoesNotFit(call.name_span, problem)) from None
