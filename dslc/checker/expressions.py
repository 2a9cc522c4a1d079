"""Values of expressions, and the arguments of calls bound to what takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from types import ModuleType
from typing import TypeVar

from dslc import inits, optimizers, registry
from dslc.checker.arithmetic import Impossible, NoCondition, NotANumber, Room, called, compared, operated
from dslc.checker.formulas import FormulaReader
from dslc.checker.members import size_of
from dslc.checker.names import UnknownName, ValueOfOtherBranch, ValueTooEarly
from dslc.formula import Formula
from dslc.inits import Init
from dslc.ir import Value
from dslc.language import ast
from dslc.language.arguments import BadValue, Each, FormulaOf, Items, Slot, Symbol, show, slots
from dslc.language.diagnostics import Diagnostic, did_you_mean, one_of
from dslc.language.record import record
from dslc.language.source import Span
from dslc.optimizers import Inner, Optimizer

T = TypeVar("T")


@record
class UnknownArgument(Diagnostic):
    """An argument that does not exist: `conv(8, 3x3, strid=2)`. `common`: arguments of every layer with parameters,
    which are suggested but not listed."""

    thing: str
    name: str
    known: tuple[str, ...]
    common: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Names the layer, loss, ... and the argument."""
        return f"{self.thing} has no argument '{self.name}'"

    @property
    def notes(self) -> tuple[str, ...]:
        """How to write an activation, the nearest argument, or the list of arguments."""
        if self.name == "activation":
            return (f"help: an activation is a layer of its own: {self.thing}(...) -> relu",)
        takes = f"it takes: {', '.join(self.known)}" if self.known else "it takes no arguments"
        return (did_you_mean(self.name, (*self.known, *self.common)) or f"help: {takes}",)


@record
class TooManyArguments(Diagnostic):
    """More positional arguments than there are: `leaky_relu(0.1, 3)`."""

    thing: str
    most: int
    names: str

    @property
    def title(self) -> str:
        """Gives the number of arguments and their names."""
        if not self.most:
            return f"{self.thing} takes no arguments"
        return f"{self.thing} takes at most {self.most} argument{'s' * (self.most > 1)}: {self.names}"


@record
class TwiceGiven(Diagnostic):
    """An argument by position and by name, or by name twice: `dense(8, units=9)`."""

    name: str
    message = "the argument '{name}' is given twice"


@record
class PositionalAfterNamed(Diagnostic):
    """A positional argument behind a named one: `conv(size=3x3, 8)`."""

    message = "an argument without a name cannot follow one with a name"


@record
class MissingArgument(Diagnostic):
    """A required argument is missing: `conv(8)`."""

    thing: str
    name: str
    message = "{thing} needs the argument '{name}'"
    hints = ("help: write {thing}({name}=...)",)


@record
class NothingListed(Diagnostic):
    """A list without values: `init=values`."""

    thing: str
    what: str
    message = "{thing} needs {what}"
    hints = ("help: write them in brackets: {thing}(1, 0, -1)",)


@record
class NamedInList(Diagnostic):
    """A name inside a list: `values(1, 0, numbers=-1)`."""

    thing: str
    what: str
    message = "{thing} takes {what} without names"
    hints = ("help: write {thing}(1, 0, -1)",)


@record
class WrongValue(Diagnostic):
    """A value of the wrong kind or out of range: `dense("8")`, `dropout(1.0)`, `batch 2.5`."""

    what: str
    reason: str
    hint: str = ""
    message = "{what}: {reason}"
    hints = ("{hint}",)


@record
class UnknownThing(Diagnostic):
    """A name that no layer, loss, optimizer, ... has: `optimizer adamm(lr=0.001)`."""

    kind: str
    name: str
    known: tuple[str, ...]

    @property
    def title(self) -> str:
        """Names the kind of thing and the name."""
        return f"there is no {self.kind} called '{self.name}'"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest name, or all names."""
        if not self.known:
            return ()
        there = "there is only" if len(self.known) == 1 else "there are"
        return (did_you_mean(self.name, self.known) or f"help: {there} {one_of(self.known)}",)


@record
class ParamTooEarly(Diagnostic):
    """A param used above its declaration, or in it: `param width = width + 1`."""

    name: str
    message = "the param '{name}' is used before it has a value"
    hints = ("help: params get their values from top to bottom; a param cannot depend on itself",)


@record
class ValueAsNumber(Diagnostic):
    """What layers made, where a number is wanted: `dense(2 * in)`."""

    name: str
    message = "'{name}' is what flows between layers, not a number"
    hints = ("help: its sizes are numbers: {name}.channels, {name}.height and {name}.width, or {name}.features",)


class Failed(Exception):
    """An error was reported; what depends on its result reports nothing more."""


@dataclass
class Scope:
    """Names that are known: the params of the file, inside a block its parameters, and the values of the net.

    `used` collects the names that were looked up; `later` are params that have no value yet. `flows`: the values that
    layers made, None where that failed, and where; `coming`: those that the body makes; `skipped`: those that only a
    branch that is not taken makes, with the place of its `when`. `room`: how large numbers may be, as in `parent`.
    """

    report: Callable[[Diagnostic], None]
    values: Mapping[str, object] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    parent: Scope | None = None
    later: Set[str] = frozenset()
    flows: dict[str, tuple[Value | None, Span]] = field(default_factory=dict)
    coming: frozenset[str] = frozenset()
    skipped: dict[str, Span] = field(default_factory=dict)
    room: Room = field(default_factory=Room)

    def __post_init__(self) -> None:
        """The room is that of the whole file."""
        if self.parent is not None:
            self.room = self.parent.room

    def lookup(self, name: str) -> object:
        """The value of a name; a Symbol if nothing has that name. Raises Failed if the value of the name failed."""
        if name in self.values:
            self.used.add(name)
            value = self.values[name]
            if value is None:
                raise Failed
            return value
        return self.parent.lookup(name) if self.parent else Symbol(name)

    def has(self, name: str) -> bool:
        """Whether the name is a param, or a parameter of the block around."""
        return name in self.values or (self.parent is not None and self.parent.has(name))

    def touch(self, name: str) -> None:
        """Counts the name as used, wherever it is known."""
        if name in self.values or name in self.flows:
            self.used.add(name)
        elif self.parent is not None:
            self.parent.touch(name)

    def flow(self, name: str, span: Span) -> Value:
        """The value that layers made under this name. Raises Failed if there is none, after reporting, or if it
        failed."""
        if name not in self.flows:
            raise self.fail(unknown_value(span, name, tuple(self.flows), self, value_wanted=True))
        self.used.add(name)
        value = self.flows[name][0]
        if value is None:
            raise Failed
        return value

    def fail(self, diagnostic: Diagnostic) -> Failed:
        """Reports the diagnostic and returns the exception to raise."""
        self.report(diagnostic)
        return Failed()

    def fitting(self, value: T, span: Span) -> T:
        """The value itself. Raises Failed after reporting a number that is too large for the network."""
        try:
            self.room.require(value, span)
        except Impossible as problem:
            raise self.fail(problem.diagnostic) from None
        return value


def evaluate(expr: ast.Expr, scope: Scope) -> object:
    """The value of an expression: number, size, text, switch, Items or Symbol. Raises Failed after reporting."""
    if isinstance(expr, (ast.Number, ast.Text, ast.Switch)):
        return expr.value
    if isinstance(expr, ast.Size):
        return expr.dims
    if isinstance(expr, ast.Name):
        return scope.lookup(expr.name)
    if isinstance(expr, ast.Items):
        return Items(tuple(evaluate(item, scope) for item in expr.items))
    try:
        return _computed(expr, scope)
    except Impossible as problem:
        raise scope.fail(problem.diagnostic) from None


def _computed(expr: ast.Member | ast.Binary | ast.Negate | ast.Not | ast.Call, scope: Scope) -> object:
    """The result of an operator or a function. Raises Impossible, and Failed after reporting."""
    if isinstance(expr, ast.Member):
        return size_of(expr, scope.flow(expr.name, expr.name_span))
    if isinstance(expr, ast.Negate):
        return -number_of(expr.operand, scope)
    if isinstance(expr, ast.Not):
        return not truth(expr.operand, scope)
    if isinstance(expr, ast.Call):
        return called(expr, tuple(known_value(a.value, scope) for a in expr.arguments or ()))
    if expr.operator in ("and", "or"):
        left = truth(expr.left, scope)
        return truth(expr.right, scope) if left == (expr.operator == "and") else left
    if expr.operator in ("==", "!="):
        return compared(expr, known_value(expr.left, scope), known_value(expr.right, scope))
    return operated(expr, number_of(expr.left, scope), number_of(expr.right, scope))


def truth(expr: ast.Expr, scope: Scope) -> bool:
    """Whether a condition holds. Raises Failed after reporting what is neither a comparison nor a switch."""
    value = known_value(expr, scope)
    if not isinstance(value, bool):
        raise scope.fail(NoCondition(expr.span, show(value)))
    return value


def number_of(expr: ast.Expr, scope: Scope) -> int | float:
    """The number that an expression is. Raises Failed after reporting what is none."""
    value = known_value(expr, scope)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise scope.fail(NotANumber(expr.span, show(value)))
    return value


def known_value(expr: ast.Expr, scope: Scope) -> object:
    """The value of an expression that is no word without a meaning."""
    value = evaluate(expr, scope)
    if isinstance(value, Symbol) and value.name not in ("valid", "same"):
        raise scope.fail(unknown_param(expr.span, value.name, scope))
    return value


def unknown_value(
    span: Span, name: str, known: tuple[str, ...], scope: Scope, *, value_wanted: bool = False
) -> Diagnostic:
    """The diagnostic for a word where only a layer, a block or a value makes sense."""
    if name in scope.skipped:
        return ValueOfOtherBranch(span, name, scope.skipped[name])
    if name in scope.coming:
        return ValueTooEarly(span, name)
    return UnknownName(span, name, known, "in" in scope.flows, value_wanted)


def unknown_param(span: Span, name: str, scope: Scope) -> Diagnostic:
    """The diagnostic for a word where only a param makes sense."""
    if name in scope.later:
        return ParamTooEarly(span, name)
    if name in scope.flows:
        return ValueAsNumber(span, name)
    return UnknownThing(span, "param", name, tuple(known_names(scope)))


def known_names(scope: Scope) -> list[str]:
    """All names with values, the innermost scope first."""
    return [*scope.values, *(known_names(scope.parent) if scope.parent else ())]


def bind(thing: type[T], name: str, call: ast.Call, scope: Scope, common: tuple[str, ...] = ()) -> T:
    """The thing with the arguments of a call. Reports every argument that is wrong, or that they do not go together,
    then raises Failed.

    common: names of arguments that are bound elsewhere, so that a misspelled one is recognized.
    """
    takes = slots(thing)
    if takes and isinstance(takes[0].kind, Each):
        return thing(**{takes[0].name: _each(takes[0], name, call, scope)})
    given = match(call.arguments or (), takes, name, scope, common)
    values: dict[str, object] = {}
    failed = False
    for slot in takes:
        if slot.name in given:
            try:
                values[slot.field] = convert(slot, given[slot.name].value, name, scope)
            except Failed:
                failed = True
        elif slot.required:
            scope.report(MissingArgument(call.span, name, slot.name))
            failed = True
    if failed:
        raise Failed
    try:
        return thing(**values)
    except BadValue as error:
        raise scope.fail(WrongValue(call.span, name, str(error))) from None


def _each(slot: Slot, name: str, call: ast.Call, scope: Scope) -> tuple[object, ...]:
    """The values for a slot that takes all arguments of a call. Raises Failed after reporting."""
    arguments = call.arguments or ()
    if not arguments:
        raise scope.fail(NothingListed(call.span, name, slot.name))
    for argument in arguments:
        if argument.name is not None:
            raise scope.fail(NamedInList(argument.span, name, slot.name))
    return tuple(convert(slot, argument.value, name, scope) for argument in arguments)


def convert(slot: Slot, expr: ast.Expr, thing: str, scope: Scope) -> object:
    """The value of one argument, converted by its slot. Raises Failed after reporting."""
    if isinstance(slot.kind, FormulaOf):
        return _formula(slot.kind, expr, scope)
    inner = isinstance(slot.kind, Inner)
    value = resolve(optimizers, Optimizer, "optimizer", expr, scope) if inner else evaluate(expr, scope)
    try:
        return scope.fitting(slot.convert(value), expr.span)
    except BadValue as error:
        if isinstance(value, Symbol) and not isinstance(expr, ast.Call):
            close = did_you_mean(value.name, known_names(scope))
            raise scope.fail(WrongValue(expr.span, f"{slot.name} of {thing}", str(error), close)) from None
        raise scope.fail(WrongValue(expr.span, f"{slot.name} of {thing}", str(error))) from None


def _formula(kind: FormulaOf, expr: ast.Expr, scope: Scope) -> Formula:
    """The formula that an expression is. Raises Failed after reporting."""
    names = {node.name for node in ast.walk(expr) if isinstance(node, ast.Name)} - set(kind.variables)
    values = {name: scope.lookup(name) for name in sorted(names)}
    known = {n: float(v) for n, v in values.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    try:
        return FormulaReader(kind.variables, known, tuple(known_names(scope)), scope.room).read(expr)
    except Impossible as problem:
        raise scope.fail(problem.diagnostic) from None


def match(
    arguments: tuple[ast.Argument, ...],
    takes: tuple[Slot, ...],
    thing: str,
    scope: Scope,
    common: tuple[str, ...] = (),
) -> dict[str, ast.Argument]:
    """The argument for each slot, by name. Raises Failed after reporting the first that does not fit."""
    names = tuple(slot.name for slot in takes)
    given: dict[str, ast.Argument] = {}
    problem: Diagnostic | None = None
    named_before = False
    for position, argument in enumerate(arguments):
        name = argument.name
        if name is None:
            if named_before:
                problem = PositionalAfterNamed(argument.span)
            elif position >= len(names):
                problem = TooManyArguments(argument.span, thing, len(names), ", ".join(names))
            else:
                name = names[position]
        elif name not in names:
            problem = UnknownArgument(argument.span, thing, name, names, common)
        elif name in given:
            problem = TwiceGiven(argument.span, name)
        named_before = named_before or argument.name is not None
        if problem is not None:
            raise scope.fail(problem)
        assert name is not None
        given[name] = argument
    return given


def resolve(package: ModuleType, base: type[T], kind: str, expr: ast.Expr, scope: Scope) -> T:
    """What an expression such as `adam(lr=0.01)` or `he` names, with its arguments bound. Raises Failed after
    reporting."""
    call = as_call(expr)
    if call is None:
        raise scope.fail(WrongValue(expr.span, kind, f"expected a name, such as {registry.names(package)[0]}"))
    found = registry.find(package, call.name, base)
    if found is None:
        raise scope.fail(UnknownThing(call.name_span, kind, call.name, registry.names(package)))
    return bind(found, call.name, call, scope)


def as_call(expr: ast.Expr) -> ast.Call | None:
    """The expression as a call, a bare name as one without arguments; None for anything else."""
    if isinstance(expr, ast.Name):
        return ast.Call(expr.span, expr.name, expr.span, None)
    return expr if isinstance(expr, ast.Call) else None


def written_rate(call: ast.Call) -> tuple[ast.Call, Span]:
    """Of an optimizer's call the one that takes the learning rate, which is that of the optimizer inside if there is
    one, and the place where it is written; the whole call if it is not."""
    kind = registry.find(optimizers, call.name, Optimizer)
    takes = () if kind is None else slots(kind)
    inner = next((slot.name for slot in takes if isinstance(slot.kind, Inner)), None)
    if inner is not None:
        at = place(call, inner, takes)
        found = next((as_call(a.value) for a in call.arguments or () if a.value.span == at), None)
        if found is not None:
            return written_rate(found)
    return call, place(call, "lr", takes)


def resolve_init(expr: ast.Expr, scope: Scope) -> Init:
    """The init that an expression names. Raises Failed after reporting."""
    return resolve(inits, Init, "init", expr, scope)


def place(call: ast.Call, argument: str | None, takes: tuple[Slot, ...]) -> Span:
    """The place of an argument in a call; the whole call if it is not written."""
    if argument is None:
        return call.span
    names = [slot.name for slot in takes]
    for position, given in enumerate(call.arguments or ()):
        if given.name == argument or (given.name is None and names[position : position + 1] == [argument]):
            return given.value.span
    return call.span
