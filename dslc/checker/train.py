"""The `train` part of a file: the settings there are, and what each accepts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from dslc import averages, clips, losses, optimizers, registry, regularizers
from dslc.averages import Average
from dslc.checker.draft import Draft
from dslc.checker.effect import frozen_penalties, useless_init, useless_mixed, useless_precise, useless_regularizers
from dslc.checker.expressions import Failed, Scope, UnknownThing, WrongValue, evaluate, resolve, resolve_init
from dslc.checker.losses import Heads, LossReader
from dslc.checker.metrics import MetricReader
from dslc.checker.schedules import read_schedule, useless_learning_rate, with_metric
from dslc.checker.target_units import misused
from dslc.clips import Clip
from dslc.inits import Init
from dslc.ir import MIXED, ON_NAN, PRECISIONS, STOP, MemoryLimit, Training, Value
from dslc.language import ast
from dslc.language.arguments import BadValue, Symbol, Whole, show, slots
from dslc.language.diagnostics import LEARNING_RATE, LEARNING_RATE_HELP, Diagnostic, did_you_mean, one_of
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers import Layer
from dslc.layers.conv import Conv
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.optimizers.sgd import Sgd
from dslc.regularizers import Constraint, Penalty, Regularizer
from dslc.schedules import Schedule

DEFAULT_BATCH, DEFAULT_EPOCHS = 64, 10
MAX_BATCH = 2**20


@record
class UnknownSetting(Diagnostic):
    """A line of `train` that starts with no setting: `epoch 10`, or `lr 0.1`, which belongs to the optimizer."""

    key: str
    known: tuple[str, ...]
    message = "train has no setting '{key}'"

    @property
    def notes(self) -> tuple[str, ...]:
        """The optimizers or losses that have an argument of this name, of many the first; else the nearest setting,
        else all settings."""
        if self.key in LEARNING_RATE:
            return (LEARNING_RATE_HELP,)
        things: dict[str, Mapping[str, type[object]]] = {
            "optimizer": registry.every(optimizers, Optimizer),
            "loss": registry.every(losses, Loss),
        }
        for kind, known in things.items():
            takers = [name for name, thing in known.items() if self.key in (slot.name for slot in slots(thing))]
            if takers:
                calls = [f"{name}({self.key}=...)" for name in takers[: 1 if len(takers) > 3 else None]]
                return (f"help: it is an argument of the {kind}: {kind} {' or '.join(calls)}",)
        return (did_you_mean(self.key, self.known) or f"help: there are {one_of(self.known)}",)


@record
class SetTwice(Diagnostic):
    """A setting, or the loss of one output, twice: `batch 64` on two lines."""

    key: str
    message = "'{key}' is set twice"


@record
class MissingSetting(Diagnostic):
    """`train` without a loss or an optimizer."""

    key: str
    example: str
    message = "train has no {key}"
    hints = ("help: for example: {example}",)


@record
class OneValue(Diagnostic):
    """Several values for a setting that takes one: `batch 32, 64`."""

    key: str
    message = "'{key}' takes one value"


@record
class NoHead(Diagnostic):
    """A setting of the network for one output, `batch price: 32`: only a loss belongs to an output."""

    key: str
    message = "'{key}' belongs to the whole network, not to one output"


@record
class NesterovAlone(Diagnostic):
    """Nesterov without momentum: `sgd(0.1, nesterov=on)`."""

    message = "nesterov=on has no effect without momentum"
    hints = ("help: sgd(0.1, momentum=0.9, nesterov=on)",)


@record
class NoChain(Diagnostic):
    """A chain of anything but schedules: `optimizer adam(lr=0.001) -> sgd(0.1)`."""

    key: str
    message = "'{key}' takes no chain: only schedules can be chained"


@record
class NoSlices(Diagnostic):
    """Slices of something else, `epochs 10 in 2`: only a mini-batch is divided."""

    key: str
    message = "'{key}' takes no 'in'"
    hints = ("help: only a mini-batch is worked through in slices: batch 256 in 8",)


@record
class UnevenSlices(Diagnostic):
    """Slices of different sizes: `batch 256 in 7`."""

    batch: int
    slices: int

    @property
    def title(self) -> str:
        """The two numbers."""
        return f"{self.batch} examples cannot be divided into {self.slices} slices of equal size"

    @property
    def notes(self) -> tuple[str, ...]:
        """A number of slices near this one that divides the batch, and the largest smaller batch that these divide."""
        near = range(max(2, self.slices // 2), min(2 * self.slices, self.batch) + 1)
        fitting = [k for k in near if self.batch % k == 0]
        same = [f"batch {self.batch} in {min(fitting, key=lambda k: abs(k - self.slices))}"] if fitting else []
        other = max(1, self.batch // self.slices) * self.slices
        return (f"help: for example {' or '.join([*same, f'batch {other} in {self.slices}'])}",)


@record
class SlicesOfAll(Diagnostic):
    """Slices of no fixed number of examples: `batch all in 8`."""

    message = "how many examples `batch all` has is known in training only: it cannot be divided"
    hints = ("help: give the number of examples: batch 1024 in 8",)


@record
class NoConditions(Diagnostic):
    """Conditions where nothing is optimized: `metrics accuracy subject_to predict_us <= 50`."""

    key: str
    message = "'{key}' takes no conditions"
    hints = ("help: they follow what is optimized: optimize accuracy subject_to predict_us <= 50",)


@record
class UnknownLayerName(Diagnostic):
    """A layer that is not there: `freeze dense3` where no layer has this name."""

    name: str
    known: tuple[str, ...]
    message = "no layer is called '{name}'"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest layer."""
        return (did_you_mean(self.name, self.known),)


@record
class NothingToFreeze(Diagnostic):
    """A layer without parameters to freeze: `freeze relu1`."""

    name: str
    message = "{name} has no parameters of its own: there is nothing to freeze"


@record
class NothingLearns(Diagnostic):
    """A network in which no parameter is trained: `train` for a net of flatten and softmax."""

    message = "nothing in this network learns"
    hints = ("help: give it a layer with weights that is not frozen",)


@record
@dataclass(frozen=True)
class TrainSettings:
    """What `train` means for the rest of the network; `training` is None if the file has no `train`, `units_span` if it
    does not say `standardize_target on`, `rounds_span` if it does not say `quantize int8`."""

    training: Training | None = None
    losses: Mapping[str, Loss] = field(default_factory=dict)
    init: Init | None = None
    penalties: tuple[Penalty, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    frozen: tuple[str, ...] = ()
    precision: str = "float32"
    units_span: Span | None = None
    rounds_span: Span | None = None


def written_precision(train: ast.TrainDecl | None) -> str:
    """The precision that `train` says, before anything is checked; a wrong one is reported later."""
    said = [s.values[0].span.text for s in train.settings if s.key == "precision" and s.values] if train else []
    return said[0] if said else TrainSettings.precision


class TrainReader:
    """Reads `train`; one method for each setting, named after its key."""

    def __init__(self, scope: Scope, train_only: Collection[str] = ()) -> None:
        """train_only: the outputs that have a loss and no metrics."""
        self.scope, self.report, self.train_only = scope, scope.report, train_only
        self.found: dict[str, object] = {}
        self.losses: dict[str, Loss] = {}
        self.regularizers: list[tuple[Regularizer, Span]] = []
        self.init_span: Span | None = None
        self.precise_span: Span | None = None
        self.mixed_span: Span | None = None
        self.units_span: Span | None = None
        self.rounds_span: Span | None = None
        self.failed: set[str] = set()
        self.written: set[str] = set()

    def read(
        self,
        train: ast.TrainDecl | None,
        heads: Heads,
        drafts: Sequence[Draft],
        lost: Collection[str] = (),
        complete: bool = True,
        inputs: Mapping[str, Value] | None = None,
        skipped: Collection[str] = (),
        skipped_layers: Collection[type[Layer]] = (),
    ) -> TrainSettings:
        """What `train` says for a network with these heads, layers and inputs.

        lost: heads whose chains failed. complete: whether the whole net was built; if not, nothing is reported that
        only seems to be missing. skipped: outputs and layers of branches that are not taken: what is said of them holds
        where they are. skipped_layers: the kinds of layers there, for which a setting may be that has no effect here.
        """
        self.heads, self.drafts, self.complete, self.skipped = heads, drafts, complete, skipped
        self.skipped_layers = skipped_layers
        self.loss_reader = LossReader(self.scope, heads, drafts, lost, self.losses, inputs or {}, skipped)
        answers = {name: head for name, head in heads.items() if name not in self.train_only}
        self.metric_reader = MetricReader(self.scope, answers, complete)
        if train is None:
            return TrainSettings()
        seen: dict[tuple[str, str | None], Span] = {}
        for setting in train.settings:
            self._setting(setting, seen)
        self._check_complete(train)
        return self._settings()

    KEYS = ("loss", "optimizer", "schedule", "regularize", "clip", "init", "batch", "epochs", "seed", "shuffle", "stop",
            "metrics", "optimize", "freeze", "precision", "precise", "standardize_target", "average",
            "on_nan", "memory", "quantize")  # fmt: skip

    def _setting(self, setting: ast.Setting, seen: dict[tuple[str, str | None], Span]) -> None:
        if setting.key not in self.KEYS:
            self.report(UnknownSetting(setting.key_span, setting.key, self.KEYS))
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
        if setting.slices is not None and setting.key != "batch":
            raise self.scope.fail(NoSlices(setting.slices.span, setting.key))
        if setting.then and setting.key != "schedule":
            raise self.scope.fail(NoChain(setting.then[0].span, setting.key))
        if setting.conditions and setting.key != "optimize":
            raise self.scope.fail(NoConditions(setting.conditions[0].span, setting.key))

    # ------------------------------------------------------------------------------------------- the settings

    def _loss(self, setting: ast.Setting) -> None:
        self.loss_reader.read(setting)

    def _optimizer(self, setting: ast.Setting) -> None:
        optimizer = resolve(optimizers, Optimizer, "optimizer", setting.values[0], self.scope)
        if isinstance(optimizer, Sgd) and optimizer.nesterov and not optimizer.momentum:
            raise self.scope.fail(NesterovAlone(setting.values[0].span))
        self.found["optimizer"], self.optimizer_expr = optimizer, setting.values[0]

    def _schedule(self, setting: ast.Setting) -> None:
        self.found["schedule"] = read_schedule(setting, self.scope, self.metric_reader)

    def _regularize(self, setting: ast.Setting) -> None:
        for expr in setting.values:
            regularizer = resolve(regularizers, Regularizer, "regularizer", expr, self.scope)
            if any(type(r) is type(regularizer) for r, _ in self.regularizers):
                raise self.scope.fail(SetTwice(expr.span, registry.name_of(regularizer)))
            self.regularizers.append((regularizer, expr.span))

    def _clip(self, setting: ast.Setting) -> None:
        self.found["clip"] = resolve(clips, Clip, "clip", setting.values[0], self.scope)

    def _average(self, setting: ast.Setting) -> None:
        self.found["average"] = resolve(averages, Average, "average", setting.values[0], self.scope)

    def _init(self, setting: ast.Setting) -> None:
        self.found["init"] = resolve_init(setting.values[0], self.scope)
        self.init_span = setting.span

    def _batch(self, setting: ast.Setting) -> None:
        value = evaluate(setting.values[0], self.scope)
        if value == Symbol("all"):
            self.found["batch"] = None
        else:
            if isinstance(value, Symbol):
                reason = f"expected a whole number or all, not {value.name}"
                raise self.scope.fail(WrongValue(setting.values[0].span, "batch", reason))
            self.found["batch"] = self._whole("batch", value, setting.values[0].span, MAX_BATCH)
        if setting.slices is not None:
            self.found["slices"] = self._slices(setting.slices)

    def _slices(self, expr: ast.Expr) -> int:
        batch, at = self.found["batch"], expr.span
        if not isinstance(batch, int):
            raise self.scope.fail(SlicesOfAll(at))
        slices = self._whole("slices of a batch", evaluate(expr, self.scope), at, MAX_BATCH)
        if batch % slices:
            raise self.scope.fail(UnevenSlices(at, batch, slices))
        return slices

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
        self.found["shuffle"] = self._switch(setting)

    def _precise(self, setting: ast.Setting) -> None:
        self.found["precise"] = self._switch(setting)
        self.precise_span = setting.span

    def _standardize_target(self, setting: ast.Setting) -> None:
        self.units_span = setting.span if self._switch(setting) else None

    def _switch(self, setting: ast.Setting) -> bool:
        value = evaluate(setting.values[0], self.scope)
        if not isinstance(value, bool):
            span = setting.values[0].span
            raise self.scope.fail(WrongValue(span, setting.key, f"expected on or off, not {show(value)}"))
        return value

    def _stop(self, setting: ast.Setting) -> None:
        self.found["patience"] = self.metric_reader.read_stop(setting)

    def _metrics(self, setting: ast.Setting) -> None:
        self.metric_reader.read_metrics(setting)

    def _optimize(self, setting: ast.Setting) -> None:
        self.metric_reader.read_optimize(setting)

    def _freeze(self, setting: ast.Setting) -> None:
        known = {d.name: d for d in self.drafts}
        names = []
        for expr in setting.values:
            name = expr.name if isinstance(expr, ast.Name) else show(evaluate(expr, self.scope))
            if name in self.skipped and name not in known:
                continue
            if self.complete and name not in known:
                raise self.scope.fail(UnknownLayerName(expr.span, name, tuple(known)))
            if name in known and not known[name].weights:
                raise self.scope.fail(NothingToFreeze(expr.span, name))
            names.append(name)
        self.found["freeze"] = tuple(names)

    def _precision(self, setting: ast.Setting) -> None:
        self.found["precision"] = self._word(setting.values[0], "precision", PRECISIONS)
        self.mixed_span = setting.span if self.found["precision"] == MIXED else None

    def _on_nan(self, setting: ast.Setting) -> None:
        self.found["on_nan"] = self._word(setting.values[0], "on_nan", ON_NAN)

    def _memory(self, setting: ast.Setting) -> None:
        expr = setting.values[0]
        value = evaluate(expr, self.scope)
        if value is False:
            return
        if isinstance(value, bool) or (isinstance(value, Symbol) and value.name != "low"):
            raise self.scope.fail(WrongValue(expr.span, "memory", f"expected low, bytes or off, not {show(value)}"))
        limit = None if isinstance(value, Symbol) else self._whole("memory", value, expr.span, 2**62)
        self.found["memory"] = MemoryLimit(limit, expr.span)

    def _quantize(self, setting: ast.Setting) -> None:
        if self._word(setting.values[0], "quantize", ("int8", "off")) == "int8":
            self.found["quantize"], self.rounds_span = "int8", setting.span

    def _word(self, expr: ast.Expr, kind: str, known: tuple[str, ...]) -> str:
        if not isinstance(expr, (ast.Name, ast.Switch)) or expr.span.text not in known:
            raise self.scope.fail(UnknownThing(expr.span, kind, expr.span.text, known))
        return expr.span.text

    # ------------------------------------------------------------------------------------------- all together

    def _check_complete(self, train: ast.TrainDecl) -> None:
        word = Span(train.span.source, train.span.start, train.span.start + len("train"))
        if "loss" not in self.written:
            self.report(MissingSetting(word, "loss", "loss cross_entropy"))
        elif "loss" not in self.failed:
            self._check_losses()
        if "optimizer" not in self.written:
            self.report(MissingSetting(word, "optimizer", "optimizer adam(lr=0.001)"))
        self._check_schedule()
        if self.complete:
            self._check_precision()
        if self.complete and self.units_span is not None and "loss" not in self.failed:
            for found in misused(self.losses, self.heads, self.drafts, self.units_span):
                self.report(found)
        if self.complete and "freeze" not in self.failed:
            self._check_effects(word)

    def _check_precision(self) -> None:
        skipped = self.skipped_layers
        if self.precise_span is not None and self.found["precise"] and not any(issubclass(k, Conv) for k in skipped):
            for found in useless_precise(self.drafts, self.precise_span):
                self.report(found)
        if self.mixed_span is not None and all(kind.with_bf16 is Layer.with_bf16 for kind in skipped):
            for found in useless_mixed(self.drafts, self.mixed_span):
                self.report(found)

    def _check_schedule(self) -> None:
        schedule = self.found.get("schedule")
        if isinstance(schedule, Schedule) and "optimizer" in self.found:
            useless = useless_learning_rate(schedule, self.optimizer_expr)
            if useless is not None:
                self.report(useless)

    def _check_effects(self, word: Span) -> None:
        """Whether anything learns, and every setting has an effect."""
        frozen = self._frozen()
        if not any(w.trained for d in self.drafts if d.name not in frozen for w in d.weights):
            self.report(NothingLearns(word))
        for found in frozen_penalties(self.drafts, frozen):
            self.report(found)
        if any(kind.parameters is not Layer.parameters for kind in self.skipped_layers):
            return
        for found in useless_regularizers(self.drafts, frozen, self.regularizers):
            self.report(found)
        for found in useless_init(self.drafts, self.init_span) if self.init_span is not None else ():
            self.report(found)

    def _check_losses(self) -> None:
        self.loss_reader.report_missing()
        if self.complete:
            answers = {name: loss for name, loss in self.losses.items() if name not in self.train_only}
            self.metric_reader.check(answers)

    def _frozen(self) -> frozenset[str]:
        """The layers that do not learn, whether the layer or `train` says so."""
        named = self.found.get("freeze", ())
        assert isinstance(named, tuple)
        return frozenset((*named, *(d.name for d in self.drafts if d.frozen)))

    def _settings(self) -> TrainSettings:
        found = self.found
        optimizer = found.get("optimizer")
        if not isinstance(optimizer, Optimizer):
            return TrainSettings()
        objective, schedule = self.metric_reader.objective, found.get("schedule")
        training = Training(
            optimizer=optimizer,
            schedule=with_metric(schedule, objective.metric) if isinstance(schedule, Schedule) else None,
            batch=found.get("batch", DEFAULT_BATCH),  # type: ignore[arg-type]
            epochs=found.get("epochs", DEFAULT_EPOCHS),  # type: ignore[arg-type]
            shuffle=found.get("shuffle", True) is True,
            patience=found.get("patience"),  # type: ignore[arg-type]
            objective=objective,
            metrics=self.metric_reader.names,
            confusion=self.metric_reader.confusion,
            seed=found.get("seed", 0),  # type: ignore[arg-type]
            clip=found.get("clip"),  # type: ignore[arg-type]
            precise=found.get("precise", False) is True,
            average=found.get("average"),  # type: ignore[arg-type]
            slices=found.get("slices"),  # type: ignore[arg-type]
            on_nan=str(found.get("on_nan", STOP)),
            memory=found.get("memory"),  # type: ignore[arg-type]
            quantize=found.get("quantize"),  # type: ignore[arg-type]
        )
        return TrainSettings(
            training=training,
            losses=self.losses,
            init=found.get("init"),  # type: ignore[arg-type]
            penalties=tuple(r for r, _ in self.regularizers if isinstance(r, Penalty) and r.strength),
            constraints=tuple(r for r, _ in self.regularizers if isinstance(r, Constraint)),
            frozen=found.get("freeze", ()),  # type: ignore[arg-type]
            precision=str(found.get("precision", "float32")),
            units_span=self.units_span,
            rounds_span=self.rounds_span,
        )
