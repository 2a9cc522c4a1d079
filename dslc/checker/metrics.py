"""The settings of `train` that name metrics: `metrics`, `stop` and `optimize ... subject_to ...`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.checker.expressions import Failed, Scope, UnknownThing, WrongValue, as_call, bind, evaluate
from dslc.checker.losses import Heads
from dslc.language import ast
from dslc.language.arguments import BadValue, Count, MetricName, Real
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.losses import Loss
from dslc.objective import MEASURED, Bound, Objective, higher_is_better

CLASS_METRICS = ("accuracy", "precision", "recall", "f1", "iou")
ERROR_METRICS = ("mae", "mse", "rmse")
METRICS = (*CLASS_METRICS, "top5", *ERROR_METRICS)
CONFUSION = "confusion"
"""A table that `dslc evaluate` shows and not a number, so it cannot be optimized."""


@record
class MetricDoesNotFit(Diagnostic):
    """A metric that says nothing here: `metrics accuracy` in a network whose losses are all for real numbers."""

    metric: str
    head: str | None

    @property
    def title(self) -> str:
        """Names the output, or says that none has the metric."""
        needs = "real numbers" if self.metric in ERROR_METRICS else "classes"
        if self.metric.startswith("top"):
            needs = "one of several classes"
        if self.head:
            return f"the output {self.head} has no {self.metric}: its loss does not judge {needs}"
        return f"no output of this network has the metric {self.metric}: none of its losses judges {needs}"

    @property
    def notes(self) -> tuple[str, ...]:
        """The losses that come with the metric."""
        if self.metric in ERROR_METRICS:
            return ("help: it comes with a loss such as mse",)
        if self.metric.startswith("top"):
            return ("help: it comes with cross_entropy and hinge",)
        return ("help: it comes with cross_entropy, hinge, binary_cross_entropy and binary_hinge",)


@record
class AlwaysAmongThem(Diagnostic):
    """A top-k metric that is always 1: `metrics top5` with five classes or fewer."""

    metric: str
    classes: int
    message = "{metric} is always 1: there are only {classes} classes"
    hints = ("help: ask for accuracy, or for top2 up to one less than the classes",)


@record
class WhichHeadsMetric(Diagnostic):
    """A metric that may belong to any of several outputs: `optimize accuracy` where two have it."""

    metric: str
    heads: tuple[str, ...]
    message = "this network has several outputs: the {metric} of which one?"

    @property
    def notes(self) -> tuple[str, ...]:
        """The names with each output."""
        return (f"help: {' or '.join(f'dev_{head}_{self.metric}' for head in self.heads)}",)


@record
class ObjectiveTwice(Diagnostic):
    """Two different objectives: `stop early(3, metric=dev_loss)` next to `optimize accuracy`."""

    message = "`optimize` already says which epoch is best"
    hints = ("help: leave out metric: early stopping watches what is optimized",)


@record
class NeverHolds(Diagnostic):
    """A bound that no network can meet: `subject_to accuracy >= 95`."""

    metric: str
    limit: float
    shares: bool

    @property
    def title(self) -> str:
        """Gives the range of the metric."""
        return (
            f"no network can meet this bound: {self.metric} {'goes from 0 to 1' if self.shares else 'is never below 0'}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """The limit as a share, if it looks like percent."""
        percent = self.shares and 1 < self.limit <= 100
        return (f"help: {self.limit:g} percent are {self.limit / 100:g}",) if percent else ()


@record
class AlwaysHolds(Diagnostic):
    """A bound that every network meets: `subject_to parameters >= 0`."""

    metric: str
    shares: bool

    @property
    def title(self) -> str:
        """Gives the range of the metric."""
        return f"this bound has no effect: {self.metric} {'goes from 0 to 1' if self.shares else 'is never below 0'}"


@dataclass(frozen=True)
class Wanted:
    """A metric named by a setting: of one head, of every head that has it, or, with `single`, of the only such head."""

    name: str
    span: Span
    head: str | None = None
    single: bool = False


@dataclass(frozen=True)
class Early:
    """`early(patience, metric)`: stop after that many epochs in which the metric did not improve."""

    patience: Count
    metric: Annotated[str, MetricName()] = "dev_loss"


class MetricReader:
    """Reads the settings one by one; `check` then asks the losses, which may come later in the file, which metrics they
    have."""

    def __init__(self, scope: Scope, heads: Heads, complete: bool) -> None:
        self.scope, self.heads, self.complete = scope, heads, complete
        self.wanted: list[Wanted] = []
        self.watched: str | None = None
        self.watched_at: Span | None = None
        self.optimized: Objective | None = None

    # ------------------------------------------------------------------------------------------- the settings

    def read_metrics(self, setting: ast.Setting) -> None:
        """`metrics accuracy, top5`. Raises Failed after reporting."""
        for expr in setting.values:
            name = expr.name if isinstance(expr, ast.Name) else expr.span.text
            if not _is_metric(name) and name != CONFUSION:
                raise self.scope.fail(UnknownThing(expr.span, "metric", name, (*METRICS, CONFUSION)))
            self.wanted.append(Wanted(name, expr.span))

    def read_stop(self, setting: ast.Setting) -> int:
        """The patience of `stop early(...)` in epochs. Raises Failed after reporting."""
        call = as_call(setting.values[0])
        if call is None or call.name != "early":
            at = call.name_span if call else setting.values[0].span
            raise self.scope.fail(UnknownThing(at, "stop rule", at.text, ("early",)))
        early = bind(Early, "early", call, self.scope)
        arguments = call.arguments or ()
        given = [a for a in arguments if a.name == "metric"] or arguments[1:]
        if given:
            self.watched_at = given[0].value.span
            self.watched = self.watch(early.metric, self.watched_at)
        return early.patience

    def watch(self, word: str, span: Span) -> str:
        """The column of the history that a setting watches. Raises Failed after reporting."""
        return "loss" if word == "loss" else self._column(word, span)

    def read_optimize(self, setting: ast.Setting) -> None:
        """`optimize METRIC subject_to METRIC <= NUMBER, ...`. Raises Failed after reporting."""
        expr = setting.values[0]
        if not isinstance(expr, ast.Name):
            raise self.scope.fail(UnknownThing(expr.span, "metric", expr.span.text, self._columns()))
        metric = self._measured_or_column(expr.name, expr.span)
        self.optimized = Objective(metric, tuple(self._bound(condition) for condition in setting.conditions))

    def _bound(self, condition: ast.Condition) -> Bound:
        word = Span(condition.span.source, condition.span.start, condition.span.start + len(condition.name))
        metric = self._measured_or_column(condition.name, word)
        try:
            limit = Real().convert(evaluate(condition.bound, self.scope))
        except BadValue as error:
            raise self.scope.fail(WrongValue(condition.bound.span, condition.name, str(error))) from None
        bound = Bound(metric, condition.comparison, limit)
        shares = higher_is_better(metric)
        held = [bound.holds(end) for end in (0, 1 if shares else math.inf)]
        if held[0] == held[1]:
            never = NeverHolds(condition.span, condition.name, limit, shares)
            raise self.scope.fail(AlwaysHolds(condition.span, condition.name, shares) if held[0] else never)
        return bound

    # ------------------------------------------------------------------------------------------- names of columns

    def _measured_or_column(self, word: str, span: Span) -> str:
        return word if word in MEASURED else self._column(word, span, MEASURED)

    def _column(self, word: str, span: Span, also: tuple[str, ...] = ()) -> str:
        """The column of the history that a word means, with or without `dev_` before it."""
        rest = word.removeprefix("dev_")
        if rest == "loss":
            return "dev_loss"
        if _is_metric(rest):
            self.wanted.append(Wanted(rest, span, single=True))
            return f"dev_{rest}"
        for head in self.heads if len(self.heads) > 1 else ():
            name = rest.removeprefix(f"{head}_")
            if name != rest and (name == "loss" or _is_metric(name)):
                if name != "loss":
                    self.wanted.append(Wanted(name, span, head))
                return f"dev_{rest}"
        if not self.complete:
            raise Failed
        raise self.scope.fail(UnknownThing(span, "metric", word, (*self._columns(), *also)))

    def _columns(self) -> tuple[str, ...]:
        prefixes = [f"{head}_" for head in self.heads] if len(self.heads) > 1 else [""]
        return ("dev_loss", "loss", *(f"dev_{prefix}{name}" for prefix in prefixes for name in METRICS))

    # ------------------------------------------------------------------------------------------- all together

    def check(self, losses: Mapping[str, Loss]) -> None:
        """Reports metrics that no head has, that several have where one is needed, and two objectives."""
        for wanted in self.wanted:
            asked = {name: loss for name, loss in losses.items() if wanted.head in (None, name)}
            having = tuple(name for name, loss in asked.items() if _has(loss, wanted.name))
            if not having:
                self.scope.report(MetricDoesNotFit(wanted.span, wanted.name, wanted.head))
            elif wanted.single and len(self.heads) > 1:
                self.scope.report(WhichHeadsMetric(wanted.span, wanted.name, having))
            elif _ranks(wanted.name):
                self._check_rank(wanted, max(self.heads[name][0].shape[-1] for name in having))
        if self.optimized is not None and self.watched_at is not None:
            self.scope.report(ObjectiveTwice(self.watched_at))

    def _check_rank(self, wanted: Wanted, classes: int) -> None:
        if classes <= int(wanted.name.removeprefix("top")):
            self.scope.report(AlwaysAmongThem(wanted.span, wanted.name, classes))

    @property
    def objective(self) -> Objective:
        """What `optimize` says, else the metric that early stopping watches, else the loss on the dev set."""
        return self.optimized or Objective(self.watched or "dev_loss")

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics to compute, each once."""
        return tuple(dict.fromkeys(wanted.name for wanted in self.wanted if wanted.name != CONFUSION))

    @property
    def confusion(self) -> bool:
        """Whether the confusion matrix is asked for."""
        return any(wanted.name == CONFUSION for wanted in self.wanted)


def _ranks(name: str) -> bool:
    return re.fullmatch(r"top[1-9][0-9]{0,8}", name) is not None


def _is_metric(name: str) -> bool:
    return name in METRICS or _ranks(name)


def _has(loss: Loss, metric: str) -> bool:
    """Whether predictions under a loss have a metric."""
    if _ranks(metric):
        return loss.classes
    if loss.sequences:  # labels have no places to compare at
        return False
    return ("accuracy" in loss.metrics) == (metric in (*CLASS_METRICS, CONFUSION))
