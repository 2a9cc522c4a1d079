"""The setting `schedule` of `train`: a schedule, or warmup and the one that follows it."""

from __future__ import annotations

from dataclasses import replace

from dslc import schedules
from dslc.checker.expressions import Scope, place, resolve, written_rate
from dslc.checker.metrics import MetricReader
from dslc.language import ast
from dslc.language.arguments import slots
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.objective import MEASURED
from dslc.schedules import Schedule
from dslc.schedules.one_cycle import OneCycle
from dslc.schedules.plateau import Plateau
from dslc.schedules.warmup import Warmup


@record
class ScheduleWithoutEnd(Diagnostic):
    """A chain of schedules that is not warmups and one other: `cosine(10) -> step(3, 0.5)`."""

    schedule: str
    message = "no schedule follows {schedule}"
    hints = ("help: a chain is warmup(steps) and one other schedule: warmup(500) -> cosine(10)",)


@record
class WhichLength(Diagnostic):
    """`one_cycle(0.1)`, or one with both lengths."""

    message = "one_cycle takes either epochs or steps"
    hints = ("help: one_cycle(0.1, epochs=10), or in updates one_cycle(0.1, steps=5000)",)


@record
class LearningRateTwice(Diagnostic):
    """`optimizer adam(lr=0.001)` next to `schedule one_cycle(max=0.01, epochs=10)`."""

    message = "this learning rate has no effect: one_cycle goes up to its own max"
    hints = ("help: leave it out here",)


def read_schedule(setting: ast.Setting, scope: Scope, metrics: MetricReader) -> Schedule:
    """The schedule of the setting. Raises Failed after reporting."""
    links = [(expr, _link(expr, scope, metrics)) for expr in (*setting.values, *setting.then)]
    _, schedule = links.pop()
    for expr, earlier in reversed(links):
        if not isinstance(earlier, Warmup) or isinstance(schedule, Warmup):
            raise scope.fail(ScheduleWithoutEnd(expr.span, expr.span.text))
        schedule = replace(earlier, then=schedule)
    return schedule


def _link(expr: ast.Expr, scope: Scope, metrics: MetricReader) -> Schedule:
    found = resolve(schedules, Schedule, "schedule", expr, scope)
    if isinstance(found, OneCycle) and (found.epochs is None) == (found.steps is None):
        raise scope.fail(WhichLength(expr.span))
    if isinstance(found, Plateau) and found.metric and isinstance(expr, ast.Call):
        return replace(found, metric=metrics.watch(found.metric, place(expr, "metric", slots(Plateau))))
    return found


def ending(schedule: Schedule) -> Schedule:
    """The schedule itself, or the one behind its warmup."""
    return schedule.then if isinstance(schedule, Warmup) and schedule.then is not None else schedule


def useless_learning_rate(schedule: Schedule, optimizer: ast.Expr) -> LearningRateTwice | None:
    """The diagnostic where the optimizer's learning rate is written and a schedule has its own."""
    if not isinstance(ending(schedule), OneCycle) or not isinstance(optimizer, ast.Call):
        return None
    call, at = written_rate(optimizer)
    return LearningRateTwice(at) if at != call.span else None


def with_metric(schedule: Schedule, metric: str) -> Schedule:
    """A plateau that names no metric goes by `metric`, or by the dev loss where training does not change that."""
    last = ending(schedule)
    if not isinstance(last, Plateau) or last.metric:
        return schedule
    filled = replace(last, metric="dev_loss" if metric in MEASURED else metric)
    return replace(schedule, then=filled) if isinstance(schedule, Warmup) else filled
