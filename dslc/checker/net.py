"""The body of `net` to drafts: chains, blocks and repeats are unrolled, arguments bound, and every size inferred.

A value that failed is poisoned: what is computed from it reports nothing instead of failing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from dslc import layers, registry
from dslc.checker.blocks import bind_block
from dslc.checker.branches import kinds, makes, names_in, skip, unknown_link
from dslc.checker.columns import ValuesLearned, embedding_of, is_table, read_table
from dslc.checker.common import COMMON, read_common, without_weights
from dslc.checker.draft import Common, Draft
from dslc.checker.expressions import (
    Failed,
    Scope,
    TwiceGiven,
    WrongValue,
    bind,
    evaluate,
    place,
    truth,
    unknown_value,
)
from dslc.checker.frame import Flow, Frame, NamesForValues, ResultsTooEarly, Several, SeveralValues, defined
from dslc.checker.names import NOT_WANTED, DeadEnd, NamedLike, NeverUsed, NothingWanted, Redefined, dead_ends
from dslc.checker.position import misplaced, wrong_ends
from dslc.checker.sizes import MAX_ELEMENTS, SizesDoNotFit, TooManyElements, Unreached, misfit
from dslc.checker.splits import SPLIT, parts
from dslc.checker.ties import tied
from dslc.checker.towers import SharedTakesNothing, Tower, shared
from dslc.checker.values import Combination
from dslc.columns import Table
from dslc.ir import Value
from dslc.language import ast
from dslc.language.arguments import BadValue, Dims, Whole, slots
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
class NotAValue(Diagnostic):
    """An argument that names a value is something else: `attention(2, memory=dense(8))`."""

    layer: str
    argument: str
    message = "{argument} of {layer} is the name of a value"
    hints = ("help: give the value a name first: h = ..., and write {argument}=h",)


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
class NothingPredicts(Diagnostic):
    """Outputs of which none is left at prediction: the only one, or the last value of all, is `train_only`."""

    name: str
    message = "the network ends in '{name}', which is train_only: nothing is left to predict"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to do."""
        return ("help: leave train_only out, or go on from a value before it to what predicts",)


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


class NetBuilder:
    """Walks the body of `net` with blocks and repeats unrolled, and collects `inputs`, `heads` and `drafts`."""

    def __init__(self, scope: Scope, blocks: Mapping[str, ast.BlockDecl]) -> None:
        self.scope, self.blocks, self.report = scope, blocks, scope.report
        self.inputs: dict[str, Value] = {}
        self.tables: list[Table] = []
        self.heads: dict[str, tuple[Value, Span]] = {}
        self.train_only: set[str] = set()
        self.drafts: list[Draft] = []
        self.notes: list[Diagnostic] = []
        self.called: set[str] = set()
        self.used: set[str] = set()
        self.idle: set[str] = set()
        self.skipped: set[str] = set()
        self.skipped_layers: set[type[Layer]] = set()
        self.ends: dict[str, Diagnostic] = {}
        self.lost: set[str] = set()
        self.entered: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.layer_spans: dict[str, Span] = {}
        self.towers: list[Tower] = []
        self.poisoned = False

    def build(self, net: ast.NetDecl) -> None:
        """Fills `inputs`, `heads` and `drafts`, and reports every error; `poisoned` is set if the result is
        incomplete."""
        if not net.body:
            self.report(EmptyBlock(net.name_span, f"the net '{net.name}'"))
            self.poisoned = True
            return
        frame = Frame(Scope(self.report, parent=self.scope, coming=frozenset(defined(net.body))))
        flowing = self._one(self._run(net.body, frame, None), net.name_span)
        if self.heads.keys() <= self.train_only and flowing is not None and not self.poisoned:
            ending = [(name, span) for name, (value, span) in self.heads.items() if value == flowing]
            for name, span in ending:
                self.report(NothingPredicts(span, name))
            if not ending:
                self.heads["output"] = (flowing, net.name_span)
        if not self.drafts and not self.poisoned and not self.heads:
            self.report(EmptyBlock(net.name_span, f"the net '{net.name}'"))
        self._report_ends(frame)

    # ------------------------------------------------------------------------------------------- statements

    def _run(self, body: tuple[ast.Statement, ...], frame: Frame, flowing: Flow) -> Flow:
        for statement in body:
            flowing = self._statement(statement, frame, flowing)
            ends = isinstance(statement, (ast.Results, ast.When)) and isinstance(flowing, Several)
            if ends and statement is not body[-1]:
                self.report(ResultsTooEarly(statement.span))
                return self._poison()
        return flowing

    def _statement(self, statement: ast.Statement, frame: Frame, flowing: Flow) -> Flow:
        if isinstance(statement, ast.InputDecl):
            return self._input(statement, frame, flowing)
        if isinstance(statement, ast.Repeat):
            return self._repeat(statement, frame, flowing)
        if isinstance(statement, ast.When):
            return self._when(statement, frame, flowing)
        if isinstance(statement, ast.Chain):
            return self._chain(statement, frame, flowing)
        if isinstance(statement, ast.AssignMany):
            return self._assign_many(statement, frame, flowing)
        if isinstance(statement, ast.Results):
            return self._results(statement, frame)
        if isinstance(statement, ast.Shared):
            return self._shared(statement, frame, flowing)
        return self._named(statement, frame, flowing)

    def _input(self, statement: ast.InputDecl, frame: Frame, flowing: Flow) -> Flow:
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
        self.ends[name] = NeverUsed(statement.name_span, "value", statement.name)
        self.drafts.append(Draft(name, "embedding", layer, (value,), output, Common(), call, statement.span))
        frame.scope.flows[statement.name] = (output, statement.name_span)
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

    def _repeat(self, statement: ast.Repeat, frame: Frame, flowing: Flow) -> Flow:
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
        if count == 0:
            self._skip(statement.body, frame)
        coming = frozenset(defined(statement.body))
        for _ in range(count):
            made, skipped = dict(frame.scope.flows), dict(frame.scope.skipped)
            scope = replace(frame.scope, flows=made, coming=coming, skipped=skipped)
            inner = replace(frame, scope=scope, depth=frame.depth + 1, towers=dict(frame.towers))
            layers_before = len(self.drafts)
            flowing = self._run(statement.body, inner, flowing)
            if self.poisoned or len(self.drafts) == layers_before:
                break
        return flowing

    def _when(self, statement: ast.When, frame: Frame, flowing: Flow) -> Flow:
        """The branch that is taken runs as if it stood in place of the `when`."""
        branches = {True: statement.body, False: statement.otherwise}
        if not statement.body:
            self.report(EmptyBlock(statement.span, "this when"))
            return self._poison()
        if self._too_deep(frame, statement.span):
            return self._poison()
        try:
            holds = truth(statement.condition, frame.scope)
        except Failed:
            for name in defined((statement,)):
                frame.scope.flows.setdefault(name, (None, statement.span))
            return self._poison()
        frame.scope.skipped.update(dict.fromkeys(defined(branches[not holds]), statement.span))
        self._skip(branches[not holds], frame)
        return self._run(branches[holds], replace(frame, depth=frame.depth + 1), flowing)

    def _skip(self, body: tuple[ast.Statement, ...], frame: Frame) -> None:
        """What does not run uses its names. Results that nothing else uses are then left out of the network."""
        skip(body, frame.scope, self.blocks, self.called, frame.towers)
        self.skipped |= makes(body)
        self.skipped_layers |= kinds(body, self.blocks)
        for name in names_in(body):
            if name in frame.towers:
                self.skipped_layers |= kinds(frame.towers[name].declaration.body, self.blocks)
        for name in names_in(body):
            value = frame.scope.flows.get(name, (None,))[0]
            if value is not None:
                self.idle.add(value.name)
            if name in frame.towers:
                self.idle.add(name)

    def _named(self, statement: ast.OutputDecl | ast.Assign, frame: Frame, flowing: Flow) -> Value | None:
        value = self._one(self._chain(statement.chain, frame, flowing), statement.chain.links[-1].span)
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
                self.train_only |= {statement.name} if statement.train_only else set()
        return value

    def _assign_many(self, statement: ast.AssignMany, frame: Frame, flowing: Flow) -> Flow:
        """Each name gets one of the values that the chain ends with; the last one that has a name flows on. Those
        called `_` are left out of the network."""
        if all(name.name == NOT_WANTED for name in statement.names):
            self.report(NothingWanted(statement.names[0].span))
            return self._poison()
        found = self._chain(statement.chain, frame, flowing, len(statement.names))
        values = found.values if isinstance(found, Several) else (found,)
        if found is not None and len(values) != len(statement.names):
            self.report(NamesForValues(statement.span, len(statement.names), len(values)))
            found = self._poison()
        if found is None:
            values = (None,) * len(statement.names)
        wanted = None
        for name, value in zip(statement.names, values, strict=True):
            if name.name != NOT_WANTED:
                self._define(name.name, name.span, value, frame)
                wanted = value
            elif value is not None:
                self.idle.add(value.name)
        return wanted

    def _results(self, statement: ast.Results, frame: Frame) -> Flow:
        if not frame.blocks:
            self.report(NoSuchPlace(statement.span, "a list of results", "net"))
            return self._poison()
        try:
            return Several(tuple(frame.scope.flow(name.name, name.span) for name in statement.names))
        except Failed:
            return self._poison()

    def _one(self, flow: Flow, span: Span) -> Value | None:
        """What flows, where only one value can."""
        if isinstance(flow, Several):
            self.report(SeveralValues(span, len(flow.values)))
            return self._poison()
        return flow

    def _define(self, name: str, span: Span, value: Value | None, frame: Frame) -> None:
        if self._free(name, span, frame):
            frame.scope.flows[name] = (value, span)
            if value is not None and value.name in self.ends:
                self.ends[value.name] = NeverUsed(span, "value", name, frame.site)

    def _free(self, name: str, span: Span, frame: Frame) -> bool:
        """Whether nothing else has this name; reports what has."""
        if name == NOT_WANTED:
            self.report(NothingWanted(span))
            self.poisoned = True
            return False
        kinds = {"layer": registry.names(layers), "block": self.blocks, "param": self.scope.values}
        like = next((kind for kind, names in kinds.items() if name in names), None)
        if like is not None:
            self.report(NamedLike(span, name, like))
        elif name in frame.scope.flows:
            self.report(Redefined(span, name, frame.scope.flows[name][1]))
        elif name in frame.towers:
            self.report(Redefined(span, name, frame.towers[name].declaration.name_span))
        else:
            return True
        self.poisoned = True
        return False

    # ------------------------------------------------------------------------------------------- chains

    def _chain(self, chain: ast.Chain, frame: Frame, flowing: Flow, names: int = 1) -> Flow:
        """What the chain ends with, for which there are so many names."""
        for position, link in enumerate(chain.links):
            before = chain.links[position - 1] if position else link
            if isinstance(link, (ast.Binary, ast.Negate)):
                flowing = self._combined(link, frame)
            elif self._known_value(link, frame):
                flowing = self._value(link, frame, starts=position == 0)
            else:
                flowing = self._called(link, frame, self._one(flowing, before.span), names, starts=position == 0)
            if self.poisoned and flowing is None:
                self._check_rest(chain.links[position + 1 :], frame)
                return None
        return flowing

    def _value(self, link: ast.Call, frame: Frame, *, starts: bool) -> Value | None:
        """A value in a chain, which it can only start."""
        if not starts:
            self.report(ValueInChain(link.span, link.name))
            return self._poison()
        if link.arguments is not None:
            self.report(ValueCalled(link.span, link.name))
            return self._poison()
        return self._use(link.name, frame)

    def _called(self, link: ast.Call, frame: Frame, flowing: Value | None, names: int, *, starts: bool) -> Flow:
        """What shared layers, a block, `split` or a layer make of what flows."""
        if link.name in frame.towers:
            return self._tower(link, frame, flowing)
        if link.name in self.blocks:
            return self._block(link, frame, flowing)
        if link.name == SPLIT:
            return self._split(link, frame, flowing, names)
        return self._layer(link, frame, flowing, starts=starts)

    def _known_value(self, link: ast.Call, frame: Frame) -> bool:
        return link.name in frame.scope.flows and link.name not in registry.names(layers)

    def _use(self, name: str, frame: Frame) -> Value | None:
        frame.scope.used.add(name)
        value = frame.scope.flows[name][0]
        return value if value is not None else self._poison()

    def _poison(self) -> Value | None:
        self.poisoned = True
        return None

    def _combined(self, expr: ast.Binary | ast.Negate, frame: Frame) -> Value | None:
        """Arithmetic of values at the start of a chain."""

        def add(call: ast.Call, layer: Layer, inputs: tuple[Value, ...]) -> Value | None:
            return self._add(call, layer, Common(), inputs, frame)

        try:
            return Combination(frame.scope, add).value(expr)
        except Failed:
            return self._poison()

    def _check_rest(self, links: tuple[ast.Call | ast.Binary | ast.Negate, ...], frame: Frame) -> None:
        """After a failure: the arguments of the following links are still worth checking."""
        for link in links:
            if isinstance(link, ast.Call) and not self._known_value(link, frame) and link.name not in self.blocks:
                try:
                    self._bind_layer(link, frame)
                except Failed:
                    continue

    # ------------------------------------------------------------------------------------------- blocks

    def _block(self, link: ast.Call, frame: Frame, flowing: Value | None) -> Flow:
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
        inner = self._inside(block, link, frame, flowing)
        try:
            bind_block(block, link, frame.scope, inner.scope)
        except Failed:
            return self._poison()
        result = self._run(block.body, inner, flowing)
        for formal in block.formals:
            if formal.name not in inner.scope.used and not self.poisoned:
                self.report(NeverUsed(formal.span, "block parameter", formal.name))
        self._flow_out(result, link, frame)
        return result

    def _inside(self, block: ast.BlockDecl, link: ast.Call, frame: Frame, flowing: Value | None) -> Frame:
        """Where the statements of a block run, which sees its own values and `in`."""
        scope = Scope(self.report, {}, parent=self.scope, coming=frozenset(defined(block.body)))
        scope.flows["in"] = (flowing, link.span)
        site, run = frame.site or link.span, frame.run or f"{block.name} {self.entered[block.name]}"
        return Frame(scope, (*frame.blocks, block.name), site, frame.depth + 1, run, frame.copy)

    # ------------------------------------------------------------------------------------------- shared layers

    def _shared(self, statement: ast.Shared, frame: Frame, flowing: Flow) -> Flow:
        if not statement.body:
            self.report(EmptyBlock(statement.span, f"'{statement.name}'"))
            return self._poison()
        if self._free(statement.name, statement.name_span, frame):
            frame.towers[statement.name] = Tower(statement, frame.scope)
            self.towers.append(frame.towers[statement.name])
        return flowing

    def _tower(self, link: ast.Call, frame: Frame, flowing: Value | None) -> Flow:
        """One call of shared layers: they run like a block, and take the parameters of the first call."""
        tower = frame.towers[link.name]
        tower.calls += 1
        if link.arguments:
            self.report(SharedTakesNothing(link.span, link.name))
            return self._poison()
        if flowing is None and not self.poisoned:
            self.report(NothingFlows(link.span, link.name))
            return self._poison()
        if self._too_deep(frame, link.span):
            return self._poison()
        body = tower.declaration.body
        scope = Scope(
            self.report, parent=tower.scope, flows={"in": (flowing, link.span)}, coming=frozenset(defined(body))
        )
        site, run = frame.site or link.span, frame.run or f"{link.name} {tower.calls}"
        inner = Frame(scope, (*frame.blocks, link.name), site, frame.depth + 1, run, tower.calls)
        before = len(self.drafts)
        result = self._run(body, inner, flowing)
        if self.poisoned:
            return self._poison()
        try:
            self.drafts[before:] = shared(tower, link, self.drafts[before:], frame.scope)
        except Failed:
            return self._poison()
        self._flow_out(result, link, frame)
        return result

    def _flow_out(self, result: Flow, link: ast.Call, frame: Frame) -> None:
        """What flows out and is not used is reported at the call."""
        for value in result.values if isinstance(result, Several) else (result,):
            if value is not None and value.name in self.ends:
                self.ends[value.name] = DeadEnd(link.span, link.name, frame.site)

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

    # ------------------------------------------------------------------------------------------- layers

    def _layer(self, link: ast.Call, frame: Frame, flowing: Value | None, *, starts: bool) -> Value | None:
        """A merge that starts a chain and names two values or more takes only these; otherwise what flows comes
        first."""
        try:
            layer, common, inputs = self._bind_layer(link, frame)
        except Failed:
            return self._poison()
        if not (starts and layer.merges and len(inputs) > 1):
            inputs = (flowing, *inputs)
        if any(value is None for value in inputs):
            if not self.poisoned:
                self.report(NothingFlows(link.span, link.name))
            return self._poison()
        return self._add(link, layer, common, tuple(v for v in inputs if v is not None), frame)

    def _bind_layer(self, link: ast.Call, frame: Frame) -> tuple[Layer, Common, tuple[Value | None, ...]]:
        found = registry.find(layers, link.name, Layer)
        if found is None:
            raise frame.scope.fail(unknown_link(link, frame.scope, self.blocks, frame.towers))
        own = tuple(a for a in link.arguments or () if a.name not in COMMON)
        inputs: tuple[Value | None, ...] = ()
        if found.merges:
            inputs = tuple(self._merged(a, link, frame) for a in own if a.name is None)
            own = tuple(a for a in own if a.name is not None)
        inputs = (*inputs, *self._taken(found, own, link, frame))
        own = tuple(a for a in own if a.name not in found.takes)
        layer = bind(found, link.name, replace(link, arguments=own), frame.scope, (*COMMON, *found.takes))
        common = read_common(link, frame.scope)
        return layer, common, inputs

    def _merged(self, argument: ast.Argument, link: ast.Call, frame: Frame) -> Value | None:
        if not isinstance(argument.value, ast.Name):
            raise frame.scope.fail(MergeNeedsValues(argument.span, link.name))
        name, flows = argument.value.name, tuple(frame.scope.flows)
        if name not in flows:
            raise frame.scope.fail(unknown_value(argument.span, name, flows, frame.scope, value_wanted=True))
        return self._use(name, frame)

    def _split(self, link: ast.Call, frame: Frame, flowing: Value | None, names: int) -> Flow:
        """One `slice` for each part."""
        if flowing is None:
            if not self.poisoned:
                self.report(NothingFlows(link.span, link.name))
            return self._poison()
        try:
            layers_of_parts = parts(link, frame.scope, flowing.shape, names)
        except Failed:
            return self._poison()
        call = replace(link, name="slice")
        return Several(tuple(self._add(call, layer, Common(), (flowing,), frame) for layer in layers_of_parts))

    def _taken(
        self, found: type[Layer], own: tuple[ast.Argument, ...], link: ast.Call, frame: Frame
    ) -> tuple[Value | None, ...]:
        """The values that arguments name, in the order of `takes`."""
        given: dict[str, Value | None] = {}
        for argument in (a for a in own if a.name in found.takes):
            if argument.name in given:
                raise frame.scope.fail(TwiceGiven(argument.span, str(argument.name)))
            named = self._named_value if argument.name in found.flows else self._named_input
            given[str(argument.name)] = named(argument, link, frame)
        return tuple(given[name] for name in found.takes if name in given)

    def _named_value(self, argument: ast.Argument, link: ast.Call, frame: Frame) -> Value | None:
        """The value that an argument names; None if its chain failed."""
        if not isinstance(argument.value, ast.Name):
            raise frame.scope.fail(NotAValue(argument.value.span, link.name, str(argument.name)))
        name, flows = argument.value.name, tuple(frame.scope.flows)
        if name not in flows:
            raise frame.scope.fail(unknown_value(argument.value.span, name, flows, frame.scope, value_wanted=True))
        return self._use(name, frame)

    def _named_input(self, argument: ast.Argument, link: ast.Call, frame: Frame) -> Value | None:
        name = argument.value.name if isinstance(argument.value, ast.Name) else ""
        value = self._named_value(argument, link, frame) if name else None
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
        try:
            layer, tie = tied(link, layer, shapes, self.drafts, frame.scope)
        except Failed:
            return self._poison()
        name = self._number(link, common, frame)
        output = Value(name, shape)
        if output.elements > MAX_ELEMENTS:
            self.report(TooManyElements(link.span, f"the output of {name}", output.elements))
            return self._poison()
        self._check_arguments(link, layer.parameters(shapes), common, frame)
        if skipped := layer.unreached(shapes):
            self.notes.append(Unreached(link.span, (name,), skipped))
        self.used.update(value.name for value in inputs)
        self.ends[name] = DeadEnd(link.span, name, frame.site)
        self.drafts.append(
            Draft(name, link.name, layer, inputs, output, common, link, frame.site or link.span, frame.run, tie=tie)
        )
        return output

    def _number(self, link: ast.Call, common: Common, frame: Frame) -> str:
        """The layer's name; in shared layers a given one gets the number of the call from the second on."""
        self.numbers[link.name] += 1
        given = f"{common.name}_{frame.copy}" if common.name and frame.copy > 1 else common.name
        name = given or f"{link.name}{self.numbers[link.name]}"
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
        idle = [t for t in self.towers if not t.calls and t.declaration.name not in self.idle]
        for tower in idle if not self.poisoned else ():
            self.report(NeverUsed(tower.declaration.name_span, "shared layer", tower.declaration.name))
        if not self.poisoned:
            used = self.used | self.idle | {value.name for value, _ in self.heads.values()}
            for unused in dead_ends(self.inputs, frame.scope.flows, self.drafts, used, self.ends):
                self.report(unused)
            self._leave_out_inputs()

    def _leave_out_inputs(self) -> None:
        """Those that only what does not run would read."""
        for name in self.idle & self.inputs.keys() - self.used:
            del self.inputs[name]
            self.tables = [table for table in self.tables if table.input != name]
