"""`ast.Program` to `ir.Network`: names, arguments, blocks and sizes, with all errors at once.

A value that failed is poisoned: what is computed from it reports nothing instead of failing again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from dslc import inits, layers, registry
from dslc.checker.arithmetic import Room
from dslc.checker.cautions import cautions
from dslc.checker.class_balance import with_class_weights
from dslc.checker.draft import TIED, Draft
from dslc.checker.expressions import Failed, Scope, UnknownThing, WrongValue, evaluate, unknown_param
from dslc.checker.losses import inputs_of_losses
from dslc.checker.names import NamedLike, NeverUsed, Redefined
from dslc.checker.net import NetBuilder
from dslc.checker.overrides import settle
from dslc.checker.rounding import with_rounding
from dslc.checker.sizes import MAX_ELEMENTS, SizesDoNotFit, TooManyElements, gathered, misfit
from dslc.checker.target_units import with_target_units
from dslc.checker.train import TrainReader, TrainSettings, written_precision
from dslc.inits import Init
from dslc.ir import MIXED, Head, Network, Node, Parameter, ParamValue, Range
from dslc.language import ast
from dslc.language.arguments import BadValue, Real, Symbol, show
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers import Weights

RANGES = {"uniform": 2, "log": 2, "int": 2, "one_minus_log": 2, "choice": 0}


@record
class NoNet(Diagnostic):
    """A file without `net`."""

    message = "this file declares no net"
    hints = ("help: a spec needs one: net NAME {{ ... }} with an input and layers",)


@record
class SecondDeclaration(Diagnostic):
    """A second `net` or `train`."""

    what: str
    message = "a file has at most one {what}; this is the second"


@record
class BadRange(Diagnostic):
    """A range that is empty or has no such scale: `in log(0, 0.1)`."""

    reason: str
    message = "this range cannot be searched: {reason}"


@record
class OutsideRange(Diagnostic):
    """A param with a value that its own range excludes: `param lr = 1 in log(1e-4, 1e-1)`."""

    value: str
    range: str
    message = "the value {value} is outside its own range"
    marker = "the range is {range}"


def check(program: ast.Program, overrides: Mapping[str, object] | None = None, precision: str | None = None) -> Network:
    """The checked network.

    overrides: values for the file's params, its settings of one value, and `lr`. precision: replaces that of the file.

    Raises:
        SpecError: with every error of the file.
    """
    errors: list[Diagnostic] = []
    program, params = settle(program, overrides or {})
    network = _Checker(program, params, errors).network(precision)
    if errors or network is None:
        raise SpecError(dict.fromkeys(errors), {name: f"{name}={show(value)}" for name, value in params.items()})
    return network


Declared = TypeVar("Declared", ast.NetDecl, ast.TrainDecl)


class _Checker:
    """The declarations of one file."""

    def __init__(self, program: ast.Program, overrides: Mapping[str, object], errors: list[Diagnostic]) -> None:
        self.program, self.overrides, self.report = program, overrides, errors.append
        self.errors = errors
        self.scope = Scope(self.report)
        self.params: list[ParamValue] = []

    def network(self, precision: str | None) -> Network | None:
        nets = self._declared(ast.NetDecl, "net")
        trains = self._declared(ast.TrainDecl, "train")
        self.scope.room = Room.of(precision or written_precision(trains[0] if trains else None))
        self._read_params()
        blocks = self._read_blocks()
        if not nets:
            self.report(NoNet(Span(self.program.source, 0, 0)))
            return None
        builder = NetBuilder(self.scope, blocks)
        train = trains[0] if trains else None
        builder.used.update(inputs_of_losses(train))
        builder.build(nets[0])
        complete = bool(builder.drafts) and not builder.poisoned
        settings = TrainReader(self.scope, builder.train_only).read(
            train,
            builder.heads,
            builder.drafts,
            builder.lost,
            complete,
            builder.inputs,
            builder.skipped,
            builder.skipped_layers,
        )
        self._check_start(builder.drafts, settings)
        self._report_unused(blocks, builder)
        if self.errors:
            return None
        return self._assemble(nets[0], builder, settings, precision)

    def _declared(self, kind: type[Declared], what: str) -> list[Declared]:
        found = [d for d in self.program.declarations if isinstance(d, kind)]
        for extra in found[1:]:
            self.report(SecondDeclaration(replace(extra.span, end=extra.span.start + len(what)), what))
        return found

    def _read_params(self) -> None:
        declared: dict[str, ast.ParamDecl] = {}
        params = [d for d in self.program.declarations if isinstance(d, ast.ParamDecl)]
        values, later = dict(self.scope.values), {param.name for param in params}
        self.scope.values, self.scope.later = values, later  # both change as we go
        for param in params:
            if param.name in declared:
                self.report(Redefined(param.name_span, param.name, declared[param.name].name_span))
                continue
            declared[param.name] = param
            value = values[param.name] = self._param_value(param)
            later.remove(param.name)
            self.params.append(ParamValue(param.name, value, self._range(param.range)))

    def _param_value(self, param: ast.ParamDecl) -> object:
        try:
            value = evaluate(param.value, self.scope)
            if isinstance(value, Symbol) and value.name not in ("valid", "same"):
                raise self.scope.fail(unknown_param(param.value.span, value.name, self.scope))
            if param.range is not None:
                self._check_range(param.range, value, param.value.span)
            if param.name in self.overrides:
                value = self._override(param, self.overrides[param.name])
        except Failed:
            return None
        return value

    def _range(self, call: ast.Call | None) -> Range | None:
        """The evaluated range; its errors were reported when the value was checked against it."""
        if call is None or self.errors:
            return None
        return Range(call.name, tuple(evaluate(a.value, self.scope) for a in call.arguments or ()))

    def _override(self, param: ast.ParamDecl, given: object) -> object:
        value = given.item() if hasattr(given, "item") else given
        if isinstance(value, str) and value in ("valid", "same"):
            value = Symbol(value)
        elif not isinstance(value, (bool, int, float, str, tuple, Symbol)):
            reason = f"{given!r} is no value of the language"
            raise self.scope.fail(WrongValue(param.name_span, f"override of {param.name}", reason))
        if param.range is not None:
            self._check_range(param.range, value, param.name_span)
        return value

    def _check_range(self, call: ast.Call, value: object, at: Span) -> None:
        if call.name not in RANGES:
            raise self.scope.fail(UnknownThing(call.name_span, "range", call.name, tuple(RANGES)))
        bounds = [evaluate(a.value, self.scope) for a in call.arguments or ()]
        if call.name == "choice":
            if value not in bounds:
                raise self.scope.fail(OutsideRange(at, show(value), call.span.text))
            return
        try:
            low, high = (Real().convert(bound) for bound in bounds)
        except (BadValue, ValueError):
            raise self.scope.fail(BadRange(call.span, "it needs a lower and an upper number")) from None
        if reason := _range_problem(call.name, low, high):
            raise self.scope.fail(BadRange(call.span, reason))
        if not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.scope.fail(OutsideRange(at, show(value), call.span.text))
        if call.name == "int" and value != int(value):
            raise self.scope.fail(WrongValue(at, call.span.text, f"expected a whole number, not {show(value)}"))

    def _read_blocks(self) -> dict[str, ast.BlockDecl]:
        blocks: dict[str, ast.BlockDecl] = {}
        for block in (d for d in self.program.declarations if isinstance(d, ast.BlockDecl)):
            if block.name in blocks:
                self.report(Redefined(block.name_span, block.name, blocks[block.name].name_span))
            elif block.name in registry.names(layers):
                self.report(NamedLike(block.name_span, block.name, "layer"))
            else:
                blocks[block.name] = block
                if twice := _twice(block.formals):
                    self.report(Redefined(twice.span, twice.name, block.name_span))
        return blocks

    def _report_unused(self, blocks: Mapping[str, ast.BlockDecl], builder: NetBuilder) -> None:
        unused = [
            NeverUsed(d.name_span, "param", d.name)
            for d in self.program.declarations
            if isinstance(d, ast.ParamDecl) and d.name not in self.scope.used
        ]
        unused += [NeverUsed(b.name_span, "block", b.name) for b in blocks.values() if b.name not in builder.called]
        for found in [d for d in unused if not self._excused(d.name)]:
            self.report(found)

    def _check_start(self, drafts: list[Draft], settings: TrainSettings) -> None:
        """The init of `train`, for layers without their own."""
        if settings.init is None:
            return
        for draft in (d for d in drafts if d.common.init is None):
            if (problem := misfit(settings.init, draft.weights)) is not None:
                self.report(SizesDoNotFit(draft.call.span, problem))

    def _excused(self, name: str) -> bool:
        """After another error a name may only seem unused: its use was not reached, or is the word that was
        misspelled."""
        if not self.errors:
            return False
        spoken_of = any(f"'{name}'" in text for e in self.errors for text in (e.title, *e.notes))
        return spoken_of or len(re.findall(rf"\b{name}\b", self.program.source.text)) > 1

    def _assemble(
        self, net: ast.NetDecl, builder: NetBuilder, settings: TrainSettings, precision: str | None
    ) -> Network | None:
        heads = tuple(
            Head(name, builder.heads[name][0], settings.losses.get(name), name in builder.train_only)
            for name in sorted(builder.heads, key=builder.train_only.__contains__)
        )
        heirs = {draft.tie.owner: draft for draft in builder.drafts if draft.tie is not None and draft.tie.decays}
        nodes = tuple(
            _finish(draft, builder.drafts[i + 1 :], settings, heirs.get(draft.name))
            for i, draft in enumerate(builder.drafts)
        )
        nodes = _with_owners(builder.drafts, nodes)
        for node in nodes:
            for p in node.parameters:
                if p.elements > MAX_ELEMENTS:
                    self.report(TooManyElements(node.span, p.name, p.elements))
        nodes = with_class_weights(heads, nodes)
        if settings.units_span is not None:
            heads, nodes = with_target_units(heads, nodes, settings.units_span)
        precision = precision or settings.precision
        if precision == MIXED:
            nodes = tuple(replace(node, layer=node.layer.with_bf16()) for node in nodes)
        network = Network(
            name=net.name,
            source=self.program.source,
            inputs=tuple(builder.inputs.values()),
            tables=tuple(builder.tables),
            nodes=nodes,
            heads=heads,
            training=settings.training,
            precision=precision,
            params=tuple(self.params),
            notes=(*gathered(builder.notes), *cautions(nodes, heads, settings.training)),
        )
        network = network.needed()  # all is, but for what only a branch that is not taken uses
        if settings.rounds_span is None or self.errors:
            return network
        return with_rounding(network, settings.rounds_span)


def _range_problem(kind: str, low: float, high: float) -> str:
    if low >= high:
        return "the lower end must be below the upper one"
    if kind == "log" and low <= 0:
        return "a log scale needs numbers above 0"
    if kind == "one_minus_log" and high >= 1:
        return "one_minus_log needs numbers below 1"
    if kind == "int" and (low != int(low) or high != int(high)):
        return "int needs whole numbers"
    return ""


def _twice(formals: tuple[ast.Formal, ...]) -> ast.Formal | None:
    seen: set[str] = set()
    for formal in formals:
        if formal.name in seen:
            return formal
        seen.add(formal.name)
    return None


def _finish(draft: Draft, following: list[Draft], settings: TrainSettings, heir: Draft | None) -> Node:
    """The node with its parameters: inits and regularizers are the layer's, else those of `train`, else the
    defaults. `heir`: a layer that has the weight too, and decides on its regularizers."""
    frozen = draft.common.freeze or draft.name in settings.frozen

    def parameter(weights: Weights) -> Parameter:
        if weights.usual and draft.common.init is not None:
            init = draft.common.init
        elif isinstance(weights.init, Init):
            init = weights.init
        elif weights.init is not None:
            init_class = registry.find(inits, weights.init, Init)
            assert init_class is not None
            init = init_class()
        else:
            init = draft.common.init or settings.init or _usual_init(draft, following)
        inherited = heir is not None and weights.role == TIED
        common = heir.common if heir is not None and inherited else draft.common
        decays = weights.decays or inherited
        penalties = settings.penalties if common.penalties is None else common.penalties
        constraints = settings.constraints if common.constraints is None else common.constraints
        return Parameter(
            name=f"{draft.name}.{weights.role}",
            shape=weights.shape,
            init=init,
            trained=weights.trained,
            decays=decays,
            frozen=frozen,
            fan_in=weights.fan_in,
            fan_out=weights.fan_out,
            units=weights.units,
            regularizers=penalties if decays and not frozen else (),
            own_regularizers=common.penalties is not None,
            constraints=constraints if decays and not frozen else (),
            lr_factor=draft.common.lr_factor,
        )

    parameters = tuple(parameter(w) for w in draft.weights)
    return Node(
        draft.name, draft.layer, draft.inputs, draft.output, parameters, draft.span, draft.call.span, draft.block
    )


def _with_owners(drafts: list[Draft], nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes with what they share: all parameters of the first call of shared layers, or a tied weight."""
    found: dict[str, Node] = {}
    for draft, node in zip(drafts, nodes, strict=True):
        borrowed: tuple[Parameter | None, ...] = ()
        if draft.owner:
            borrowed = tuple(found[draft.owner].roles.values())
        elif draft.tie is not None:
            borrowed = (found[draft.tie.owner].parameter(TIED),)
        found[node.name] = replace(node, borrowed=tuple(p for p in borrowed if p is not None))
    return tuple(found.values())


def _usual_init(draft: Draft, following: list[Draft]) -> Init:
    """`he` before a relu-like activation, `xavier` before tanh and sigmoid, else `glorot`."""
    value, suits = draft.output, "glorot"
    for later in following:
        if value not in later.inputs:
            continue
        if later.layer.suits is not None:
            suits = later.layer.suits
            break
        if any(w.decays for w in later.layer.parameters(tuple(v.shape for v in later.inputs))):
            break
        value = later.output
    found = registry.find(inits, suits, Init)
    assert found is not None
    return found()
