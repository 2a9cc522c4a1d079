"""The `train` part of a file: which settings there are, and what each may say."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from dslc import ast, clips, losses, optimizers, registry, regularizers, schedules
from dslc.arguments import BadValue, Count, Symbol, Whole, show, slots
from dslc.check_effect import frozen_penalties, useless_init, useless_regularizers, weights_of
from dslc.check_losses import DraftLike, Heads, LossReader
from dslc.clips import Clip
from dslc.diagnostics import LEARNING_RATE, LEARNING_RATE_HELP, Diagnostic, did_you_mean, one_of
from dslc.evaluate import Failed, Scope, UnknownThing, WrongValue, as_call, bind, evaluate, resolve, resolve_init
from dslc.inits import Init
from dslc.ir import Training
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.optimizers.sgd import Sgd
from dslc.record import record
from dslc.regularizers import Constraint, Penalty, Regularizer
from dslc.schedules import Schedule
from dslc.schedules.warmup import Warmup
from dslc.source import Span

CLASS_METRICS = ("accuracy", "precision", "recall", "f1")
ERROR_METRICS = ("mae", "mse", "rmse")
METRICS = (*CLASS_METRICS, "top5", *ERROR_METRICS)
STOP_METRICS = ("dev_loss", "loss", *(f"dev_{name}" for name in METRICS))
DEFAULT_BATCH, DEFAULT_EPOCHS = 64, 10
MAX_BATCH = 2**20


@record
class UnknownSetting(Diagnostic):
    key: str
    known: tuple[str, ...]
    message = "train has no setting '{key}'"

    @property
    def notes(self) -> tuple[str, ...]:
        if self.key in LEARNING_RATE:
            return (LEARNING_RATE_HELP,)
        things: dict[str, Mapping[str, type[object]]] = {
            "optimizer": registry.every(optimizers, Optimizer),
            "loss": registry.every(losses, Loss),
        }
        for kind, known in things.items():
            for name, thing in known.items():
                if self.key in (slot.name for slot in slots(thing)):
                    return (f"help: it is an argument of the {kind}: {kind} {name}({self.key}=...)",)
        return (did_you_mean(self.key, self.known) or f"help: there are {one_of(self.known)}",)


@record
class SetTwice(Diagnostic):
    key: str
    message = "'{key}' is set twice"


@record
class MissingSetting(Diagnostic):
    key: str
    example: str
    message = "train says nothing about the {key}"
    hints = ("help: for example: {example}",)


@record
class OneValue(Diagnostic):
    key: str
    message = "'{key}' takes one value"


@record
class NoHead(Diagnostic):
    key: str
    message = "'{key}' belongs to the whole network, not to one output"


@record
class NesterovAlone(Diagnostic):
    message = "nesterov=on has no effect without momentum"
    hints = ("help: sgd(0.1, momentum=0.9, nesterov=on)",)


@record
class NoChain(Diagnostic):
    key: str
    message = "'{key}' takes no chain: only schedules follow one another"


@record
class ScheduleWithoutEnd(Diagnostic):
    schedule: str
    message = "no schedule follows {schedule}"
    hints = ("help: a chain is warmup(steps) and one other schedule: warmup(500) -> cosine(10)",)


@record
class NotYet(Diagnostic):
    what: str
    message = "{what} is not part of this version of dslc"


@record
class UnknownLayerName(Diagnostic):
    name: str
    known: tuple[str, ...]
    message = "no layer is called '{name}'"

    @property
    def notes(self) -> tuple[str, ...]:
        return (did_you_mean(self.name, self.known),)


@record
class NothingToFreeze(Diagnostic):
    name: str
    message = "{name} has no parameters: there is nothing to freeze"


@record
class NothingLearns(Diagnostic):
    message = "nothing in this network learns"
    hints = ("help: give it a layer with weights that is not frozen",)


@record
class MetricDoesNotFit(Diagnostic):
    metric: str

    @property
    def title(self) -> str:
        needs = "real numbers" if self.metric in ERROR_METRICS else "classes"
        if self.metric.startswith("top"):
            needs = "one of several classes"
        return f"no output of this network has the metric {self.metric}: none of its losses judges {needs}"

    @property
    def notes(self) -> tuple[str, ...]:
        if self.metric in ERROR_METRICS:
            return ("help: it comes with a loss such as mse",)
        if self.metric.startswith("top"):
            return ("help: it comes with cross_entropy and hinge",)
        return ("help: it comes with cross_entropy, hinge, binary_cross_entropy and binary_hinge",)


@record
class AlwaysAmongThem(Diagnostic):
    metric: str
    classes: int
    message = "{metric} is 1 whatever happens: there are only {classes} classes"
    hints = ("help: ask for accuracy, or for top2 up to one less than the classes",)


@dataclass(frozen=True)
class TrainSettings:
    """What `train` means for the rest of the network; `training` is None where the file has no `train`."""

    training: Training | None = None
    losses: Mapping[str, Loss] = field(default_factory=dict)
    init: Init | None = None
    penalties: tuple[Penalty, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    frozen: tuple[str, ...] = ()
    precision: str = "float32"


@dataclass(frozen=True)
class MetricName:
    """One of the numbers that a history holds."""

    def convert(self, value: object) -> str:
        name = value.name if isinstance(value, Symbol) else value
        if name not in STOP_METRICS:
            raise BadValue(f"one of {', '.join(STOP_METRICS)} is wanted, not {show(value)}")
        return str(name)


@dataclass(frozen=True)
class Early:
    """`early(patience, metric)`: stop after that many epochs without a better metric."""

    patience: Count
    metric: Annotated[str, MetricName()] = "dev_loss"


class TrainReader:
    """Reads `train`; one method a setting, named after its key."""

    def __init__(self, scope: Scope) -> None:
        self.scope, self.report = scope, scope.report
        self.found: dict[str, object] = {}
        self.losses: dict[str, Loss] = {}
        self.regularizers: list[tuple[Regularizer, Span]] = []
        self.init_span: Span | None = None
        self.failed: set[str] = set()
        self.written: set[str] = set()
        self.metrics_wanted: list[tuple[str, Span]] = []

    def read(
        self,
        train: ast.TrainDecl | None,
        heads: Heads,
        drafts: Sequence[DraftLike],
        lost: Collection[str] = (),
        complete: bool = True,
    ) -> TrainSettings:
        """What `train` says of a network with these heads and layers.

        lost: heads whose chains failed. complete: whether the whole net was built; if not, nothing is said about
        what seems to be missing from it.
        """
        self.heads, self.drafts, self.complete = heads, drafts, complete
        self.loss_reader = LossReader(self.scope, heads, drafts, lost, self.losses)
        if train is None:
            return TrainSettings()
        seen: dict[tuple[str, str | None], Span] = {}
        for setting in train.settings:
            self._setting(setting, seen)
        self._check_complete(train)
        return self._settings()

    KEYS = ("loss", "optimizer", "schedule", "regularize", "clip", "init", "batch", "epochs", "seed", "shuffle", "stop",
            "metrics", "freeze", "precision")  # fmt: skip

    def _setting(self, setting: ast.Setting, seen: dict[tuple[str, str | None], Span]) -> None:
        if setting.key not in self.KEYS:
            planned = ("optimize",)
            known = UnknownSetting(setting.key_span, setting.key, self.KEYS)
            self.report(NotYet(setting.key_span, f"'{setting.key}'") if setting.key in planned else known)
            return
        identity = (setting.key, setting.head.name if setting.head else None)
        if identity in seen:
            self.report(SetTwice(setting.key_span, " ".join(word for word in identity if word)))
            return
        seen[identity] = setting.span
        self.written.add(setting.key)
        try:
            self._check_form(setting)
            getattr(self, f"_{setting.key}")(setting)
        except Failed:
            self.failed.add(setting.key)

    def _check_form(self, setting: ast.Setting) -> None:
        if setting.head is not None and setting.key != "loss":
            raise self.scope.fail(NoHead(setting.head.span, setting.key))
        if len(setting.values) > 1 and setting.key not in ("regularize", "freeze", "metrics"):
            raise self.scope.fail(OneValue(setting.values[1].span, setting.key))
        if setting.then and setting.key != "schedule":
            raise self.scope.fail(NoChain(setting.then[0].span, setting.key))
        if setting.conditions:
            raise self.scope.fail(NotYet(setting.conditions[0].span, "'subject_to'"))

    # ------------------------------------------------------------------------------------------- the settings

    def _loss(self, setting: ast.Setting) -> None:
        self.loss_reader.read(setting)

    def _optimizer(self, setting: ast.Setting) -> None:
        optimizer = resolve(optimizers, Optimizer, "optimizer", setting.values[0], self.scope)
        if isinstance(optimizer, Sgd) and optimizer.nesterov and not optimizer.momentum:
            raise self.scope.fail(NesterovAlone(setting.values[0].span))
        self.found["optimizer"] = optimizer

    def _schedule(self, setting: ast.Setting) -> None:
        links = [(e, resolve(schedules, Schedule, "schedule", e, self.scope)) for e in (*setting.values, *setting.then)]
        _, schedule = links.pop()
        for expr, earlier in reversed(links):
            if not isinstance(earlier, Warmup) or isinstance(schedule, Warmup):
                raise self.scope.fail(ScheduleWithoutEnd(expr.span, expr.span.text))
            schedule = replace(earlier, then=schedule)
        self.found["schedule"] = schedule

    def _regularize(self, setting: ast.Setting) -> None:
        for expr in setting.values:
            regularizer = resolve(regularizers, Regularizer, "regularizer", expr, self.scope)
            if any(type(r) is type(regularizer) for r, _ in self.regularizers):
                raise self.scope.fail(SetTwice(expr.span, registry.name_of(regularizer)))
            self.regularizers.append((regularizer, expr.span))

    def _clip(self, setting: ast.Setting) -> None:
        self.found["clip"] = resolve(clips, Clip, "clip", setting.values[0], self.scope)

    def _init(self, setting: ast.Setting) -> None:
        self.found["init"] = resolve_init(setting.values[0], self.scope)
        self.init_span = setting.span

    def _batch(self, setting: ast.Setting) -> None:
        value = evaluate(setting.values[0], self.scope)
        if value == Symbol("all"):
            self.found["batch"] = None
        else:
            if isinstance(value, Symbol):
                reason = f"a whole number or all is wanted, not {value.name}"
                raise self.scope.fail(WrongValue(setting.values[0].span, "batch", reason))
            self.found["batch"] = self._whole("batch", value, setting.values[0].span, MAX_BATCH)

    def _epochs(self, setting: ast.Setting) -> None:
        value = evaluate(setting.values[0], self.scope)
        self.found["epochs"] = self._whole("epochs", value, setting.values[0].span, 10**9)

    def _seed(self, setting: ast.Setting) -> None:
        value = evaluate(setting.values[0], self.scope)
        self.found["seed"] = self._whole("seed", value, setting.values[0].span, 2**63 - 1, low=0)

    def _whole(self, key: str, value: object, span: Span, high: int, low: int = 1) -> int:
        try:
            return Whole(low, high).convert(value)
        except BadValue as error:
            raise self.scope.fail(WrongValue(span, key, str(error))) from None

    def _shuffle(self, setting: ast.Setting) -> None:
        value = evaluate(setting.values[0], self.scope)
        if not isinstance(value, bool):
            raise self.scope.fail(
                WrongValue(setting.values[0].span, "shuffle", f"on or off is wanted, not {show(value)}")
            )
        self.found["shuffle"] = value

    def _stop(self, setting: ast.Setting) -> None:
        call = as_call(setting.values[0])
        if call is None or call.name != "early":
            at = call.name_span if call else setting.values[0].span
            raise self.scope.fail(UnknownThing(at, "stop rule", at.text, ("early",)))
        early = bind(Early, "early", call, self.scope)
        self.found["patience"], self.found["stop_metric"] = early.patience, early.metric
        name = early.metric.removeprefix("dev_")
        if name != "loss":
            self.metrics_wanted.append((name, setting.values[0].span))

    def _metrics(self, setting: ast.Setting) -> None:
        names = [self._metric(expr) for expr in setting.values]
        self.metrics_wanted += [(name, expr.span) for name, expr in zip(names, setting.values, strict=True)]

    def _metric(self, expr: ast.Expr) -> str:
        if isinstance(expr, ast.Name) and re.fullmatch(r"top[1-9][0-9]{0,8}", expr.name):
            return expr.name
        return self._word(expr, "metric", METRICS)

    def _freeze(self, setting: ast.Setting) -> None:
        known = {d.name: d for d in self.drafts}
        names = []
        for expr in setting.values:
            name = expr.name if isinstance(expr, ast.Name) else show(evaluate(expr, self.scope))
            if self.complete and name not in known:
                raise self.scope.fail(UnknownLayerName(expr.span, name, tuple(known)))
            if name in known and not weights_of(known[name]):
                raise self.scope.fail(NothingToFreeze(expr.span, name))
            names.append(name)
        self.found["freeze"] = tuple(names)

    def _precision(self, setting: ast.Setting) -> None:
        self.found["precision"] = self._word(setting.values[0], "precision", ("float32", "float64"))

    def _word(self, expr: ast.Expr, kind: str, known: tuple[str, ...]) -> str:
        if not isinstance(expr, ast.Name) or expr.name not in known:
            raise self.scope.fail(UnknownThing(expr.span, kind, expr.span.text, known))
        return expr.name

    # ------------------------------------------------------------------------------------------- all together

    def _check_complete(self, train: ast.TrainDecl) -> None:
        word = Span(train.span.source, train.span.start, train.span.start + len("train"))
        if "loss" not in self.written:
            self.report(MissingSetting(word, "loss", "loss cross_entropy"))
        elif "loss" not in self.failed:
            self._check_losses()
        if "optimizer" not in self.written:
            self.report(MissingSetting(word, "optimizer", "optimizer adam(lr=0.001)"))
        if self.complete and "freeze" not in self.failed:
            self._check_effects(word)

    def _check_effects(self, word: Span) -> None:
        """Whether something learns, and every setting reaches something."""
        frozen = self._frozen()
        if not any(w.trained for d in self.drafts if d.name not in frozen for w in weights_of(d)):
            self.report(NothingLearns(word))
        for found in useless_regularizers(self.drafts, frozen, self.regularizers):
            self.report(found)
        for found in frozen_penalties(self.drafts, frozen):
            self.report(found)
        for found in useless_init(self.drafts, self.init_span) if self.init_span is not None else ():
            self.report(found)

    def _check_losses(self) -> None:
        self.loss_reader.report_missing()
        if self.complete:
            for metric, span in self.metrics_wanted:
                self._check_metric(metric, span)

    def _check_metric(self, metric: str, span: Span) -> None:
        """At least one head has this metric."""
        heads = [(self.heads[name][0].shape[-1], loss) for name, loss in self.losses.items()]
        if metric in ERROR_METRICS:
            fits = any("accuracy" not in loss.metrics for _, loss in heads)
        elif metric in CLASS_METRICS:
            fits = any("accuracy" in loss.metrics for _, loss in heads)
        else:
            ranked = [classes for classes, loss in heads if loss.classes]
            fits = bool(ranked)
            if ranked and max(ranked) <= int(metric.removeprefix("top")):
                self.report(AlwaysAmongThem(span, metric, max(ranked)))
        if not fits:
            self.report(MetricDoesNotFit(span, metric))

    def _frozen(self) -> frozenset[str]:
        """The layers that do not learn, wherever it is said."""
        named = self.found.get("freeze", ())
        assert isinstance(named, tuple)
        return frozenset((*named, *(d.name for d in self.drafts if d.frozen)))

    def _all_metrics(self) -> tuple[str, ...]:
        """Those asked for and the one that early stopping watches."""
        return tuple(dict.fromkeys(name for name, _ in self.metrics_wanted))

    def _settings(self) -> TrainSettings:
        found = self.found
        optimizer = found.get("optimizer")
        if not isinstance(optimizer, Optimizer):
            return TrainSettings()
        training = Training(
            optimizer=optimizer,
            schedule=found.get("schedule"),  # type: ignore[arg-type]
            batch=found.get("batch", DEFAULT_BATCH),  # type: ignore[arg-type]
            epochs=found.get("epochs", DEFAULT_EPOCHS),  # type: ignore[arg-type]
            shuffle=found.get("shuffle", True) is True,
            patience=found.get("patience"),  # type: ignore[arg-type]
            stop_metric=str(found.get("stop_metric", "dev_loss")),
            metrics=self._all_metrics(),
            seed=found.get("seed", 0),  # type: ignore[arg-type]
            clip=found.get("clip"),  # type: ignore[arg-type]
        )
        return TrainSettings(
            training=training,
            losses=self.losses,
            init=found.get("init"),  # type: ignore[arg-type]
            penalties=tuple(r for r, _ in self.regularizers if isinstance(r, Penalty)),
            constraints=tuple(r for r, _ in self.regularizers if isinstance(r, Constraint)),
            frozen=found.get("freeze", ()),  # type: ignore[arg-type]
            precision=str(found.get("precision", "float32")),
        )
