"""Names that a file defines, and where it uses them: for going to a definition, and for renaming."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dslc.checker.names import NOT_WANTED
from dslc.editor.analysis import analyze
from dslc.language import ast
from dslc.language.diagnostics import DataError
from dslc.language.source import Span

Kind = Literal["param", "block", "block parameter", "value", "layer"]
DECLARING = ("param", "block", "net", "train", "input", "output")
KEYWORDS = frozenset(
    (*DECLARING, "in", "on", "off", "repeat", "when", "else", "shared", "train_only", "and", "or", "not", "subject_to")
)


VARIABLES = {"activation": ("x",), "formula": ("y", "t")}
"""What words stand for in formulas, whatever else has these names."""


@dataclass
class Symbol:
    """A name, where it is defined and where it is used. `node` is its definition; a layer is one with `name=`."""

    name: str
    kind: Kind
    span: Span
    node: (
        ast.ParamDecl
        | ast.BlockDecl
        | ast.Formal
        | ast.Assign
        | ast.AssignMany
        | ast.Shared
        | ast.InputDecl
        | ast.OutputDecl
        | ast.Call
    )
    uses: list[Span] = field(default_factory=list)

    def touches(self, offset: int) -> bool:
        """Whether the offset is in its definition or in a use of it."""
        return any(span.start <= offset <= span.end for span in (self.span, *self.uses))


def symbol_at(program: ast.Program, offset: int) -> Symbol | None:
    """The symbol whose name is at an offset."""
    return next((symbol for symbol in symbols_of(program) if symbol.touches(offset)), None)


def symbols_of(program: ast.Program) -> list[Symbol]:
    """All names that the file defines."""
    return _Walk(program).symbols


def rename(program: ast.Program, offset: int, name: str) -> list[Span]:
    """The places that get a new name.

    Raises:
        DataError: there is no name of the file here, or the new one would not do.
    """
    symbol = symbol_at(program, offset)
    if symbol is None:
        raise DataError("only params, blocks, values and layers with name= can be renamed")
    if not name.isidentifier() or not name.isascii() or name in KEYWORDS:
        raise DataError(f"{name!r} is no name: letters, digits and _")
    spans = sorted((symbol.span, *symbol.uses), key=lambda span: span.start)
    text = program.source.text
    for span in reversed(spans):
        text = text[: span.start] + name + text[span.end :]
    before, after = analyze(program.source.text), analyze(text)
    if before.network is not None and after.network is None:
        raise DataError(f"{name} would not do: {after.diagnostics[0].title}")
    if after.program is None or _shape_of(program) != _shape_of(after.program):
        raise DataError(f"{name} would not do: some of its uses would stand for another name")
    return spans


def _shape_of(program: ast.Program) -> list[tuple[str, int]]:
    """What a renaming must not change: which definitions there are, and how often each is used."""
    return [(symbol.kind, len(symbol.uses)) for symbol in symbols_of(program)]


class _Walk:
    """Goes through a file. A scope is a dict of names; those of a block are its parameters and values, on top of the
    params and blocks of the file."""

    def __init__(self, program: ast.Program) -> None:
        self.symbols: list[Symbol] = []
        self.scopes: list[dict[str, Symbol]] = [{}]
        self.layers: dict[str, Symbol] = {}
        for d in program.declarations:
            if isinstance(d, (ast.ParamDecl, ast.BlockDecl)):
                self._define(d.name, "param" if isinstance(d, ast.ParamDecl) else "block", d.name_span, d)
        trains = [d for d in program.declarations if isinstance(d, ast.TrainDecl)]
        for d in program.declarations:
            if isinstance(d, ast.ParamDecl):
                self._expressions(d.value, d.range)
            elif isinstance(d, ast.BlockDecl):
                self._block(d)
            elif isinstance(d, ast.NetDecl):
                self.scopes.append({})
                self._body(d.body)
                for train in trains:
                    self._train(train)
                self.scopes.pop()

    def _define(self, name: str, kind: Kind, span: Span, node: object) -> None:
        if name == NOT_WANTED:
            return
        symbol = Symbol(name, kind, span, node)  # type: ignore[arg-type]
        self.symbols.append(symbol)
        self.scopes[-1][name] = symbol

    def _use(self, name: str, span: Span) -> None:
        found = next((scope[name] for scope in reversed(self.scopes) if name in scope), None)
        if found is not None:
            found.uses.append(span)

    def _block(self, block: ast.BlockDecl) -> None:
        self.scopes.append({})
        for formal in block.formals:
            self._expressions(formal.default)
            self._define(formal.name, "block parameter", formal.span, formal)
        self._body(block.body)
        self.scopes.pop()

    def _body(self, body: tuple[ast.Statement, ...]) -> None:
        for statement in body:
            if isinstance(statement, ast.Repeat):
                self._expressions(statement.count)
                self.scopes.append({})
                self._body(statement.body)
                self.scopes.pop()
            elif isinstance(statement, ast.When):
                self._when(statement)
            elif isinstance(statement, ast.Shared):
                self._define(statement.name, "value", statement.name_span, statement)
                self.scopes.append({})
                self._body(statement.body)
                self.scopes.pop()
            elif isinstance(statement, ast.InputDecl):
                self._expressions(statement.size)
                self._define(statement.name, "value", statement.name_span, statement)
            elif isinstance(statement, ast.Chain):
                self._chain(statement)
            elif isinstance(statement, ast.Results):
                self._expressions(*statement.names)
            elif isinstance(statement, ast.AssignMany):
                self._chain(statement.chain)
                for name in statement.names:
                    self._define(name.name, "value", name.span, statement)
            else:
                self._chain(statement.chain)
                self._define(statement.name, "value", statement.name_span, statement)

    def _when(self, statement: ast.When) -> None:
        """A name that both branches define is one value."""
        self._expressions(statement.condition)
        before = dict(self.scopes[-1])
        self._body(statement.body)
        first = {name: symbol for name, symbol in self.scopes[-1].items() if before.get(name) is not symbol}
        self.scopes[-1].update(before)
        self._body(statement.otherwise)
        for name, symbol in first.items():
            second = self.scopes[-1].get(name)
            if second is None or second is symbol:
                continue
            symbol.uses += [second.span, *second.uses]
            self.symbols.remove(second)
            self.scopes[-1][name] = symbol

    def _chain(self, chain: ast.Chain) -> None:
        for link in chain.links:
            self._expressions(link)

    def _expressions(self, *found: ast.Expr | None) -> None:
        for expr in found:
            if isinstance(expr, ast.Name):
                self._use(expr.name, expr.span)
            elif isinstance(expr, ast.Call):
                self._use(expr.name, expr.name_span)
                self.scopes.append(
                    {name: Symbol(name, "value", expr.span, expr) for name in VARIABLES.get(expr.name, ())}
                )
                for argument in expr.arguments or ():
                    self._argument(expr, argument)
                self.scopes.pop()
            elif isinstance(expr, ast.Binary):
                self._expressions(expr.left, expr.right)
            elif isinstance(expr, (ast.Negate, ast.Not)):
                self._expressions(expr.operand)
            elif isinstance(expr, ast.Member):
                self._use(expr.name, expr.name_span)
            elif isinstance(expr, ast.Items):
                self._expressions(*expr.items)

    def _argument(self, call: ast.Call, argument: ast.Argument) -> None:
        if argument.name == "name" and isinstance(argument.value, ast.Name):
            symbol = Symbol(argument.value.name, "layer", argument.value.span, call)
            self.symbols.append(symbol)
            self.layers[symbol.name] = symbol
        else:
            self._expressions(argument.value)

    def _train(self, train: ast.TrainDecl) -> None:
        for setting in train.settings:
            if setting.head is not None:
                self._use(setting.head.name, setting.head.span)
            if setting.key == "freeze":
                for name in setting.values:
                    if isinstance(name, ast.Name) and name.name in self.layers:
                        self.layers[name.name].uses.append(name.span)
                continue
            self._expressions(*setting.values, setting.slices, *setting.then, *(c.bound for c in setting.conditions))
