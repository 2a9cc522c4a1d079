"""Tables: the columns that an input declares."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

from dslc import columns, registry
from dslc.checker.expressions import Failed, Scope, UnknownThing, WrongValue, bind
from dslc.columns import MISSING, Column, Kind, Table, as_word
from dslc.columns.category import Category
from dslc.ir import Network
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers._embedding import Embedding, Part

EXAMPLE = "table {{ age: number, sex: category(female, male) }}"


@record
class NoColumns(Diagnostic):
    """A table that declares nothing: `input row: table`."""

    message = "a table needs its columns"
    hints = (f"help: write {EXAMPLE}",)


@record
class NotATable(Diagnostic):
    """Columns of something else: `input x: 784 {{ age: number }}`."""

    message = "only a table has columns"
    hints = (f"help: write {EXAMPLE}",)


@record
class ColumnTwice(Diagnostic):
    """A column that is declared twice."""

    name: str
    first: Span

    @property
    def title(self) -> str:
        """Gives the line of the first declaration."""
        return f"the column {self.name!r} is declared twice: first in line {self.first.line}"


@record
class ValueTwice(Diagnostic):
    """`category(a, b, a)`."""

    value: str
    message = "the value {value!r} is listed twice"


@record
class NoValue(Diagnostic):
    """A value of a category that no cell can have: `category(a, 2 + 3)`, `category("NA")`."""

    reason: str
    message = "this is no value of a category: {reason}"
    hints = ("help: list words, numbers or texts in quotes: category(red, 3, \"dark blue\")",)  # fmt: skip


@record
class NumberWithValues(Diagnostic):
    """`number(1, 2)`."""

    kind: str
    message = "{kind} lists no values"
    hints = ("help: options stand behind it, as in number missing=0; only a category has values",)


@record
class ValuesLearned(Diagnostic):
    """A note: the values of a category are not listed, so that its size is not known yet."""

    name: str
    severity = "note"
    message = "the values of {name!r} come from the training set; until then one stands for them"
    hints = ("help: `dslc train` fills them in; to fix them, list them: category(red, blue)",)


@record
class ValuesUnknown(Diagnostic):
    """A network that is to be compiled or used before it has seen the values of a category."""

    name: str
    message = "the values of {name!r} are not known yet"
    hints = (
        "help: list them, as in category(red, blue), or let the training set tell: `dslc train`, fit",
        "help: weights.safetensors and spec.net of a run have them",
    )


def require_values(network: Network) -> None:
    """Refuses a network whose sizes depend on data that it has not seen.

    Raises:
        SpecError: with each category whose values are not listed.
    """
    if network.open:
        raise SpecError([ValuesUnknown(c.kind_span, c.name) for table in network.tables for c in table.open])


def is_table(size: ast.Expr) -> bool:
    """Whether an input is declared as a table."""
    return isinstance(size, ast.Name) and size.name == "table"


def read_table(statement: ast.InputDecl, scope: Scope) -> Table:
    """The columns of an input. Reports every error, then raises Failed."""
    if not is_table(statement.size):
        raise scope.fail(NotATable(statement.size.span))
    if not statement.columns:
        raise scope.fail(NoColumns(statement.size.span))
    found: dict[str, ast.Column] = {}
    read: list[Column] = []
    for declared in statement.columns:
        if declared.name in found:
            scope.report(ColumnTwice(declared.name_span, declared.name, found[declared.name].name_span))
            continue
        found[declared.name] = declared
        try:
            read.append(_column(declared, scope))
        except Failed:
            continue
    if len(read) < len(statement.columns):
        raise Failed
    return Table(statement.name, tuple(read))


def embedding_of(table: Table) -> Embedding | None:
    """The layer that looks up the embeddings of a table's columns; None where it declares none."""
    parts: list[Part] = []
    start = out = 0
    for column in table.columns:
        kind = column.kind
        if isinstance(kind, Category) and kind.embedding is not None:
            parts.append(Part(start, out, kind.embedding, kind.count, _identifier(column.name, parts)))
        elif parts and not parts[-1].values:
            parts[-1] = replace(parts[-1], size=parts[-1].size + kind.width)
        else:
            parts.append(Part(start, out, kind.width))
        start += kind.width
        out = parts[-1].out + parts[-1].size
    return Embedding(tuple(parts)) if any(part.values for part in parts) else None


def _identifier(column: str, parts: list[Part]) -> str:
    """A column's name in letters, digits and _, and unlike those before."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", column)
    taken = {part.column for part in parts}
    return next(name for i in count(1) if (name := word if i == 1 else f"{word}_{i}") not in taken)


def _column(declared: ast.Column, scope: Scope) -> Column:
    call = declared.kind
    kind_class = registry.find(columns, call.name, Kind)
    if kind_class is None:
        raise scope.fail(UnknownThing(call.name_span, "kind of column", call.name, registry.names(columns)))
    kind = bind(kind_class, call.name, ast.Call(call.span, call.name, call.name_span, declared.options), scope)
    if kind.useless:
        reason = "it has no effect where missing cells are errors"
        raise scope.fail(WrongValue(declared.span, kind.useless, reason, "help: say missing=median as well"))
    if call.arguments is not None:
        if not isinstance(kind, Category):
            raise scope.fail(NumberWithValues(call.span, call.name))
        kind = replace(kind, values=_values(call, scope))
    return Column(declared.name, kind, declared.span, call.name_span)


def _values(call: ast.Call, scope: Scope) -> tuple[str, ...]:
    """The values in the brackets of a category."""
    found: list[str] = []
    if not call.arguments:
        raise scope.fail(NoValue(call.span, "nothing is listed"))
    for argument in call.arguments:
        value = _value(argument, scope)
        if value in found:
            raise scope.fail(ValueTwice(argument.span, value))
        found.append(value)
    return tuple(found)


def _value(argument: ast.Argument, scope: Scope) -> str:
    expr = argument.value
    signless = expr.operand if isinstance(expr, ast.Negate) else expr
    if argument.name is not None:
        raise scope.fail(NoValue(argument.span, "options stand behind the brackets"))
    if isinstance(expr, ast.Text):
        text = expr.value
    elif isinstance(expr, (ast.Name, ast.Switch)) or isinstance(signless, ast.Number):
        text = expr.span.text
    else:
        raise scope.fail(NoValue(argument.span, "it is computed"))
    if as_word(text) in MISSING:
        raise scope.fail(NoValue(argument.span, f"{text!r} stands for a missing cell, see missing="))
    return as_word(text)
