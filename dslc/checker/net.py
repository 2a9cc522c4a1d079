"""The body of `net` to drafts: chains, blocks and repeats are unrolled, arguments bound, and every size inferred.

A value that failed is poisoned: what is computed from it reports nothing instead of failing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc import layers, registry
from dslc.checker.columns import ValuesLearned, embedding_of, is_table, read_table
from dslc.checker.common import COMMON, read_common, without_weights
from dslc.checker.draft import Common, Draft
from dslc.checker.expressions import (
    Failed,
    MissingArgument,
    Scope,
    TwiceGiven,
    WrongValue,
    bind,
    evaluate,
    match,
    place,
    unknown_param,
)
from dslc.checker.names import NamedLike, NeverUsed, Redefined, UnknownName, ValueTooEarly, dead_ends
from dslc.checker.position import misplaced, wrong_ends
from dslc.checker.sizes import MAX_ELEMENTS, SizesDoNotFit, TooManyElements, Unreached, misfit
from dslc.columns import Table
from dslc.ir import Value
from dslc.language import ast
from dslc.language.arguments import BadValue, Dims, Slot, Symbol, Whole, slots
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers import Layer, Weights
from dslc.shape import SizeProblem

MAX_NODES = 5000
MAX_DEPTH = 100
"""Blocks and repeats inside each other: what runs them calls itself."""


@record
class ValueInChain(Diagnostic):
    """A value between two arrows: `x -> dense(4) -> h -> dense(3)`."""

    name: str
    message = "the value '{name}' is not allowed in the middle of a chain"
    hints = ("help: to merge it into the chain, write -> add({name}) or -> concat({name})",)


@record
class ValueCalled(Diagnostic):
    """A value with brackets: `h(3) -> dense(3)`."""

    name: str
    message = "'{name}' is a value and takes no arguments"


@record
class NothingFlows(Diagnostic):
    """A chain that starts with a layer before any input: `dense(3) -> softmax`."""

    name: str
    message = "nothing flows into {name}"
    hints = ("help: declare an input before it: input x: 28x28x1",)


@record
class MergeNeedsValues(Diagnostic):
    """Something other than a name in a merge: `add(conv(8, 3x3))`."""

    layer: str
    message = "{layer} joins values: its arguments are names"
    hints = ("help: give the value a name first: skip = ...",)


@record
class NotAnInput(Diagnostic):
    """An argument that names an input is something else: `lstm(8, lengths=h)` with `h = x -> dense(1)`, or a number."""

    layer: str
    argument: str
    message = "{argument} of {layer} is not the name of an input"
    hints = ("help: declare one with input n: 1, or count the words of a text with n = text -> lengths",)


@record
class MergeOfOne(Diagnostic):
    """A merge with a single value: `dense(4) -> add`."""

    layer: str
    message = "{layer} joins at least two values"


@record
class TooManyLayers(Diagnostic):
    """Blocks and repeats that unroll to too many layers or calls."""

    message = f"this makes more than {MAX_NODES} layers or calls of blocks"


@record
class NestedTooDeep(Diagnostic):
    """Blocks or repeats run inside each other too deep, as in a block that calls a block that calls a block ..."""

    message = f"more than {MAX_DEPTH} blocks and repeats run inside each other here"


@record
class RecursiveBlock(Diagnostic):
    """A block that calls itself, directly or through another."""

    name: str
    message = "the block '{name}' contains itself"


@record
class EmptyBlock(Diagnostic):
    """Braces without statements: `repeat 3 { }`."""

    what: str
    message = "{what} is empty"


@record
class NoSuchPlace(Diagnostic):
    """`input` or `output` inside a block."""

    what: str
    where: str
    message = "{what} is not allowed inside a {where}"


@record
class LayerNameTaken(Diagnostic):
    """A second layer with the same name=, or one inside something that runs twice."""

    name: str
    first: Span

    @property
    def title(self) -> str:
        """Gives the line of the first."""
        return f"two layers are called '{self.name}'; the first is in line {self.first.line}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to do, which depends on whether both are the same call."""
        if self.first == self.span:
            return ("help: what runs more than once cannot have a name=",)
        return ("help: give one of them another name=",)


@dataclass(frozen=True)
class Frame:
    """Where statements run: the net itself, one call of a block or one turn of a repeat.

    `later`: names that the body defines; `blocks`: the calls around it; `site`: the outermost of them, and
    `run` its name with a number; `depth`: how many blocks and repeats it is inside.
    """

    scope: Scope
    values: dict[str, tuple[Value | None, Span]]
    later: frozenset[str]
    blocks: tuple[str, ...] = ()
    site: Span | None = None
    depth: int = 0
    run: str = ""


class NetBuilder:
    """Walks the body of `net` with blocks and repeats unrolled, and collects `inputs`, `heads` and `drafts`."""

    def __init__(self, scope: Scope, blocks: Mapping[str, ast.BlockDecl]) -> None:
        self.scope, self.blocks, self.report = scope, blocks, scope.report
        self.inputs: dict[str, Value] = {}
        self.tables: list[Table] = []
        self.heads: dict[str, tuple[Value, Span]] = {}
        self.drafts: list[Draft] = []
        self.notes: list[Diagnostic] = []
        self.called: set[str] = set()
        self.used: set[str] = set()
        self.lost: set[str] = set()
        self.entered: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.layer_spans: dict[str, Span] = {}
        self.poisoned = False

    def build(self, net: ast.NetDecl) -> None:
        """Fills `inputs`, `heads` and `drafts`, and reports every error; `poisoned` is set if the result is
        incomplete."""
        if not net.body:
            self.report(EmptyBlock(net.name_span, f"the net '{net.name}'"))
            self.poisoned = True
            return
        frame = Frame(self.scope, {}, frozenset(_defined(net.body)))
        flowing = self._run(net.body, frame, None)
        if not self.heads and flowing is not None and not self.poisoned:
            self.heads["output"] = (flowing, net.name_span)
        if not self.drafts and not self.poisoned and not self.heads:
            self.report(EmptyBlock(net.name_span, f"the net '{net.name}'"))
        self._report_ends(frame)

    # ------------------------------------------------------------------------------------------- statements

    def _run(self, body: tuple[ast.Statement, ...], frame: Frame, flowing: Value | None) -> Value | None:
        for statement in body:
            if isinstance(statement, ast.InputDecl):
                flowing = self._input(statement, frame, flowing)
            elif isinstance(statement, ast.Repeat):
                flowing = self._repeat(statement, frame, flowing)
            elif isinstance(statement, ast.Chain):
                flowing = self._chain(statement, frame, flowing)
            else:
                flowing = self._named(statement, frame, flowing)
        return flowing

    def _input(self, statement: ast.InputDecl, frame: Frame, flowing: Value | None) -> Value | None:
        if frame.blocks:
            self.report(NoSuchPlace(statement.span, "an input", "block"))
            return flowing
        shape = self._input_shape(statement, frame)
        value = None if shape is None else Value(statement.name, shape)
        self._define(statement.name, statement.name_span, value, frame)
        if value is None:
            return self._poison()
        self.inputs[statement.name] = value
        return self._embedded(value, statement, frame)

    def _embedded(self, value: Value, statement: ast.InputDecl, frame: Frame) -> Value:
        """What an input's name stands for: the input, or where its columns have embeddings the numbers from there."""
        table = next((table for table in self.tables if table.input == value.name), None)
        layer = None if table is None else embedding_of(table)
        if layer is None:
            return value
        name = f"{value.name}_embedding"
        taken = (name, *(f"{name}_{part.column}" for part in layer.learned))  # of which the C makes names
        self.layer_spans |= dict.fromkeys(taken, statement.name_span)
        output = Value(name, layer.infer((value.shape,)))
        call = ast.Call(statement.name_span, "embedding", statement.name_span, None)
        self.used.add(value.name)
        self.drafts.append(Draft(name, "embedding", layer, (value,), output, Common(), call, statement.span))
        frame.values[statement.name] = (output, statement.name_span)
        return output

    def _input_shape(self, statement: ast.InputDecl, frame: Frame) -> tuple[int, ...] | None:
        try:
            if statement.columns is not None or is_table(statement.size):
                shape: tuple[int, ...] = (self._table(statement, frame).width,)
            else:
                shape = Dims().convert(evaluate(statement.size, frame.scope))
        except BadValue as error:
            self.report(WrongValue(statement.size.span, f"size of input {statement.name}", str(error)))
            return None
        except Failed:
            return None
        value = Value(statement.name, shape)
        if value.elements > MAX_ELEMENTS:
            self.report(TooManyElements(statement.size.span, "an input", value.elements))
            return None
        return shape

    def _table(self, statement: ast.InputDecl, frame: Frame) -> Table:
        table = read_table(statement, frame.scope)
        self.tables.append(table)
        self.notes += [ValuesLearned(column.kind_span, column.name) for column in table.open]
        return table

    def _repeat(self, statement: ast.Repeat, frame: Frame, flowing: Value | None) -> Value | None:
        try:
            count = Whole(0, MAX_NODES).convert(evaluate(statement.count, frame.scope))
        except Failed:
            return self._poison()
        except BadValue as error:
            self.report(WrongValue(statement.count.span, "repeat", str(error)))
            return self._poison()
        if not statement.body:
            self.report(EmptyBlock(statement.span, "this repeat"))
            return flowing
        if self._too_deep(frame, statement.span):
            return self._poison()
        later = frozenset(_defined(statement.body))
        for _ in range(count):
            inner = replace(frame, values=dict(frame.values), later=later, depth=frame.depth + 1)
            layers_before = len(self.drafts)
            flowing = self._run(statement.body, inner, flowing)
            if self.poisoned or len(self.drafts) == layers_before:
                break
        return flowing

    def _named(self, statement: ast.OutputDecl | ast.Assign, frame: Frame, flowing: Value | None) -> Value | None:
        value = self._chain(statement.chain, frame, flowing)
        if isinstance(statement, ast.Assign):
            self._define(statement.name, statement.name_span, value, frame)
        elif frame.blocks:
            self.report(NoSuchPlace(statement.span, "an output", "block"))
        elif statement.name in self.heads:
            self.report(Redefined(statement.name_span, statement.name, self.heads[statement.name][1]))
            self.poisoned = True
        else:
            self._define(statement.name, statement.name_span, value, frame)
            if value is None:
                self.lost.add(statement.name)
            else:
                self.heads[statement.name] = (value, statement.name_span)
        return value

    def _define(self, name: str, span: Span, value: Value | None, frame: Frame) -> None:
        kinds = {"layer": registry.names(layers), "block": self.blocks, "param": self.scope.values}
        like = next((kind for kind, names in kinds.items() if name in names), None)
        if like is not None:
            self.report(NamedLike(span, name, like))
            self.poisoned = True
        elif name in frame.values:
            self.report(Redefined(span, name, frame.values[name][1]))
            self.poisoned = True
        else:
            frame.values[name] = (value, span)

    # ------------------------------------------------------------------------------------------- chains

    def _chain(self, chain: ast.Chain, frame: Frame, flowing: Value | None) -> Value | None:
        for position, link in enumerate(chain.links):
            known = self._known_value(link, frame)
            if known and position == 0:
                flowing = self._use(link.name, frame)
                if link.arguments is not None:
                    self.report(ValueCalled(link.span, link.name))
                    return self._poison()
            elif known:
                self.report(ValueInChain(link.span, link.name))
                return self._poison()
            elif link.name in self.blocks:
                flowing = self._block(link, frame, flowing)
            else:
                flowing = self._layer(link, frame, flowing, starts=position == 0)
            if self.poisoned and flowing is None:
                self._check_rest(chain.links[position + 1 :], frame)
                return None
        return flowing

    def _known_value(self, link: ast.Call, frame: Frame) -> bool:
        return link.name in frame.values and link.name not in registry.names(layers)

    def _use(self, name: str, frame: Frame) -> Value | None:
        return frame.values[name][0] if frame.values[name][0] is not None else self._poison()

    def _poison(self) -> Value | None:
        self.poisoned = True
        return None

    def _check_rest(self, links: tuple[ast.Call, ...], frame: Frame) -> None:
        """After a failure: the arguments of the following links are still worth checking."""
        for link in links:
            if not self._known_value(link, frame) and link.name not in self.blocks:
                try:
                    self._bind_layer(link, frame)
                except Failed:
                    continue

    # ------------------------------------------------------------------------------------------- blocks

    def _block(self, link: ast.Call, frame: Frame, flowing: Value | None) -> Value | None:
        block = self.blocks[link.name]
        self.called.add(block.name)
        if block.name in frame.blocks:
            self.report(RecursiveBlock(link.name_span, block.name))
            return self._poison()
        if not block.body:
            self.report(EmptyBlock(block.name_span, f"the block '{block.name}'"))
            return self._poison()
        if flowing is None and not self.poisoned:
            self.report(NothingFlows(link.span, link.name))
            return self._poison()
        if self._too_deep(frame, link.span) or not self._enter(block, link, flowing):
            return self._poison()
        try:
            arguments = self._block_arguments(block, link, frame)
        except Failed:
            return self._poison()
        inner_scope = Scope(self.report, arguments, set(), self.scope)
        values: dict[str, tuple[Value | None, Span]] = {"in": (flowing, link.span)}
        site, run = frame.site or link.span, frame.run or f"{block.name} {self.entered[block.name]}"
        later, around = frozenset(_defined(block.body)), (*frame.blocks, block.name)
        inner = Frame(inner_scope, values, later, around, site, frame.depth + 1, run)
        result = self._run(block.body, inner, flowing)
        for formal in block.formals:
            if formal.name not in inner_scope.used and not self.poisoned:
                self.report(NeverUsed(formal.span, "block parameter", formal.name))
        return result

    def _too_deep(self, frame: Frame, span: Span) -> bool:
        if frame.depth == MAX_DEPTH:
            self.report(NestedTooDeep(span))
        return frame.depth == MAX_DEPTH

    def _enter(self, block: ast.BlockDecl, link: ast.Call, flowing: Value | None) -> bool:
        """Whether to run a block's body: at most MAX_NODES times, and after a failure only once, to find further
        errors."""
        self.entered[block.name] += 1
        if self.entered.total() == MAX_NODES + 1:
            self.report(TooManyLayers(link.span))
        return self.entered.total() <= MAX_NODES and (flowing is not None or self.entered[block.name] == 1)

    def _block_arguments(self, block: ast.BlockDecl, link: ast.Call, frame: Frame) -> dict[str, object]:
        takes = tuple(Slot(f.name, None, f.default is None) for f in block.formals)
        given = match(link.arguments or (), takes, block.name, frame.scope)
        values: dict[str, object] = {}
        for formal in block.formals:
            if formal.name in given:
                values[formal.name] = self._known(given[formal.name].value, frame.scope)
            elif formal.default is not None:
                values[formal.name] = self._known(formal.default, self.scope)
            else:
                raise frame.scope.fail(MissingArgument(link.span, block.name, formal.name))
        return values

    def _known(self, expr: ast.Expr, scope: Scope) -> object:
        value = evaluate(expr, scope)
        if isinstance(value, Symbol) and value.name not in ("valid", "same"):
            raise scope.fail(unknown_param(expr.span, value.name, scope))
        return value

    # ------------------------------------------------------------------------------------------- layers

    def _layer(self, link: ast.Call, frame: Frame, flowing: Value | None, *, starts: bool) -> Value | None:
        """A merge that starts a chain and names two values or more takes only these; otherwise what flows comes
        first."""
        try:
            layer, common, inputs = self._bind_layer(link, frame)
        except Failed:
            return self._poison()
        if not (starts and len(inputs) > 1):
            inputs = (flowing, *inputs)
        if any(value is None for value in inputs):
            if not self.poisoned:
                self.report(NothingFlows(link.span, link.name))
            return self._poison()
        return self._add(link, layer, common, tuple(v for v in inputs if v is not None), frame)

    def _bind_layer(self, link: ast.Call, frame: Frame) -> tuple[Layer, Common, tuple[Value | None, ...]]:
        found = registry.find(layers, link.name, Layer)
        if found is None:
            known = (*registry.names(layers), *self.blocks, *frame.values)
            raise frame.scope.fail(_unknown(link.name_span, link.name, known, frame))
        own = tuple(a for a in link.arguments or () if a.name not in COMMON)
        inputs: tuple[Value | None, ...] = ()
        if found.merges:
            inputs = tuple(self._merged(a, link, frame) for a in own if a.name is None)
            own = tuple(a for a in own if a.name is not None)
        inputs = (*inputs, *self._taken(found.takes, own, link, frame))
        own = tuple(a for a in own if a.name not in found.takes)
        layer = bind(found, link.name, replace(link, arguments=own), frame.scope, (*COMMON, *found.takes))
        common = read_common(link, frame.scope)
        return layer, common, inputs

    def _merged(self, argument: ast.Argument, link: ast.Call, frame: Frame) -> Value | None:
        if not isinstance(argument.value, ast.Name):
            raise frame.scope.fail(MergeNeedsValues(argument.span, link.name))
        name = argument.value.name
        if name not in frame.values:
            raise frame.scope.fail(_unknown(argument.span, name, tuple(frame.values), frame, value_wanted=True))
        return self._use(name, frame)

    def _taken(
        self, takes: tuple[str, ...], own: tuple[ast.Argument, ...], link: ast.Call, frame: Frame
    ) -> tuple[Value | None, ...]:
        """The inputs that arguments name, in the order of `takes`."""
        given: dict[str, Value | None] = {}
        for argument in (a for a in own if a.name in takes):
            if argument.name in given:
                raise frame.scope.fail(TwiceGiven(argument.span, str(argument.name)))
            given[str(argument.name)] = self._named_input(argument, link, frame)
        return tuple(given[name] for name in takes if name in given)

    def _named_input(self, argument: ast.Argument, link: ast.Call, frame: Frame) -> Value | None:
        name = argument.value.name if isinstance(argument.value, ast.Name) else ""
        if name not in frame.values and name:
            raise frame.scope.fail(_unknown(argument.value.span, name, tuple(frame.values), frame, value_wanted=True))
        value = self._use(name, frame) if name else None
        counted = value is not None and any(d.output == value and d.layer.counts for d in self.drafts)
        if not name or (value is not None and value.name not in self.inputs and not counted):
            raise frame.scope.fail(NotAnInput(argument.value.span, link.name, str(argument.name)))
        return value

    def _add(
        self, link: ast.Call, layer: Layer, common: Common, inputs: tuple[Value, ...], frame: Frame
    ) -> Value | None:
        if layer.merges and len(inputs) < 2:
            self.report(MergeOfOne(link.span, link.name))
            return self._poison()
        if wrong := misplaced(link, layer, inputs, self.inputs, self.drafts):
            self.report(wrong)
            return self._poison()
        if len(self.drafts) >= MAX_NODES:
            self.report(TooManyLayers(link.span))
            return self._poison()
        shapes = tuple(value.shape for value in inputs)
        try:
            shape = layer.infer(shapes)
        except SizeProblem as problem:
            self.report(SizesDoNotFit(place(link, problem.argument, slots(type(layer))), problem, frame.site))
            return self._poison()
        name = self._number(link, common)
        output = Value(name, shape)
        if output.elements > MAX_ELEMENTS:
            self.report(TooManyElements(link.span, f"the output of {name}", output.elements))
            return self._poison()
        self._check_arguments(link, layer.parameters(shapes), common, frame)
        if skipped := layer.unreached(shapes):
            self.notes.append(Unreached(link.span, name, skipped))
        self.used.update(value.name for value in inputs)
        self.drafts.append(
            Draft(name, link.name, layer, inputs, output, common, link, frame.site or link.span, frame.run)
        )
        return output

    def _number(self, link: ast.Call, common: Common) -> str:
        self.numbers[link.name] += 1
        name = common.name or f"{link.name}{self.numbers[link.name]}"
        if name in self.layer_spans:
            self.report(LayerNameTaken(link.span, name, self.layer_spans[name]))
        self.layer_spans[name] = link.span
        return name

    def _check_arguments(self, link: ast.Call, declared: tuple[Weights, ...], common: Common, frame: Frame) -> None:
        for useless in without_weights(link, declared):
            self.report(useless)
        problem = None if common.init is None else misfit(common.init, declared)
        if problem is not None:
            self.report(SizesDoNotFit(place(link, problem.argument, ()), problem, frame.site))

    # ------------------------------------------------------------------------------------------- after the body

    def _report_ends(self, frame: Frame) -> None:
        for wrong in wrong_ends(self.heads, self.drafts, self.poisoned):
            self.report(wrong)
        if not self.poisoned:
            used = self.used | {value.name for value, _ in self.heads.values()}
            for unused in dead_ends(self.inputs, frame.values, self.drafts, used):
                self.report(unused)


def _defined(body: tuple[ast.Statement, ...]) -> set[str]:
    """The names that statements define, to tell 'unknown' from 'not yet'."""
    return {s.name for s in body if isinstance(s, (ast.Assign, ast.InputDecl, ast.OutputDecl))}


def _unknown(span: Span, name: str, known: tuple[str, ...], frame: Frame, *, value_wanted: bool = False) -> Diagnostic:
    if name in frame.later:
        return ValueTooEarly(span, name)
    return UnknownName(span, name, known, bool(frame.blocks), value_wanted)
