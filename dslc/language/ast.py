"""The first stage: a `.net` file as written, before any name has a meaning. Every node knows its place in the text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

from dslc.language.record import Record, record
from dslc.language.source import Source, Span


@record
class Number(Record):
    """`64`, `0.5` or `1e-3`."""

    span: Span
    value: int | float


@record
class Size(Record):
    """`5x5` or `28x28x1`."""

    span: Span
    dims: tuple[int, ...]


@record
class Text(Record):
    """`"quoted"`, here without its quotes."""

    span: Span
    value: str


@record
class Switch(Record):
    """`on` or `off`."""

    span: Span
    value: bool


@record
class Name(Record):
    """A word that stands for a param, a value, or a thing without arguments such as `he`."""

    span: Span
    name: str


@record
class Member(Record):
    """`in.channels`: a size of the value `name`."""

    span: Span
    name: str
    name_span: Span
    member: str


@record
class Binary(Record):
    """`left operator right`; the operators are + - * / // ^, < <= > >= == != and `and`, `or`."""

    span: Span
    operator: str
    left: Expr
    right: Expr


@record
class Negate(Record):
    """`-operand`."""

    span: Span
    operand: Expr


@record
class Not(Record):
    """`not operand`."""

    span: Span
    operand: Expr


@record
class Items(Record):
    """`(1, 2, 1)`: two or more values in brackets."""

    span: Span
    items: tuple[Expr, ...]


@record
class Argument(Record):
    """One argument of a call; `name` is None for a positional one."""

    span: Span
    name: str | None
    value: Expr


@record
class Call(Record):
    """`name(arguments)`. A chain may also hold a bare `name`; its `arguments` are None."""

    span: Span
    name: str
    name_span: Span
    arguments: tuple[Argument, ...] | None


Expr = Union[Number, Size, Text, Switch, Name, Member, Binary, Negate, Not, Call, Items]


@record
class Chain(Record):
    """`conv(8, 3x3) -> relu -> flatten`: one call for each link, or arithmetic of values first: `x + y -> relu`."""

    span: Span
    links: tuple[Union[Call, Binary, Negate], ...]


@record
class Column(Record):
    """`fare: number missing=median` in a table: `kind` is a name, or a call that lists values."""

    span: Span
    name: str
    name_span: Span
    kind: Call
    options: tuple[Argument, ...]


@record
class InputDecl(Record):
    """`input name: size`, or `input name: table { columns }`; `columns` is None where there are no braces."""

    span: Span
    name: str
    name_span: Span
    size: Expr
    columns: tuple[Column, ...] | None


@record
class OutputDecl(Record):
    """`output name = chain`, or `output name = chain train_only`."""

    span: Span
    name: str
    name_span: Span
    chain: Chain
    train_only: bool


@record
class Assign(Record):
    """`name = chain`."""

    span: Span
    name: str
    name_span: Span
    chain: Chain


@record
class AssignMany(Record):
    """`first, second = chain`."""

    span: Span
    names: tuple[Name, ...]
    chain: Chain


@record
class Shared(Record):
    """`name = shared { body }`: layers that are called like a block, with the same parameters in every call."""

    span: Span
    name: str
    name_span: Span
    body: tuple[Statement, ...]


@record
class Results(Record):
    """`first, second` at the end of a block: the values that flow out."""

    span: Span
    names: tuple[Name, ...]


@record
class Repeat(Record):
    """`repeat count { body }`."""

    span: Span
    count: Expr
    body: tuple[Statement, ...]


@record
class When(Record):
    """`when condition { body } else { otherwise }`; without `else`, `otherwise` is empty."""

    span: Span
    condition: Expr
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


Statement = Union[InputDecl, OutputDecl, Assign, AssignMany, Shared, Results, Repeat, When, Chain]


@record
class ParamDecl(Record):
    """`param name = value in range`; `range` is None without `in`."""

    span: Span
    name: str
    name_span: Span
    value: Expr
    range: Call | None


@record
class Formal(Record):
    """A parameter of a block; `default` is None if a call must give it."""

    span: Span
    name: str
    default: Expr | None


@record
class BlockDecl(Record):
    """`block name(formals) { body }`."""

    span: Span
    name: str
    name_span: Span
    formals: tuple[Formal, ...]
    body: tuple[Statement, ...]


@record
class NetDecl(Record):
    """`net name { body }`."""

    span: Span
    name: str
    name_span: Span
    body: tuple[Statement, ...]


@record
class Condition(Record):
    """`predict_us <= 50`, after `subject_to`."""

    span: Span
    name: str
    comparison: str
    bound: Expr


@record
class Setting(Record):
    """One line of `train`: `key value, ...`, `key head: value`, `key value in slices` or `key a -> b`."""

    span: Span
    key: str
    key_span: Span
    head: Name | None
    values: tuple[Expr, ...]
    slices: Expr | None
    then: tuple[Expr, ...]
    conditions: tuple[Condition, ...]


@record
class TrainDecl(Record):
    """`train { settings }`."""

    span: Span
    settings: tuple[Setting, ...]


Declaration = Union[ParamDecl, BlockDecl, NetDecl, TrainDecl]


@record
class Program(Record):
    """A whole file."""

    source: Source
    declarations: tuple[Declaration, ...]

    def verify(self) -> None:
        """Asserts that every declaration is inside the file, in the order of the text."""
        last = 0
        for declaration in self.declarations:
            assert last <= declaration.span.start <= declaration.span.end <= len(self.source.text)
            last = declaration.span.start


def walk(node: object) -> Iterator[Record]:
    """The node, or all nodes of a tuple, with everything inside."""
    todo = [node]
    while todo:
        found = todo.pop()
        if isinstance(found, tuple):
            todo.extend(reversed(found))
        elif isinstance(found, Record):
            yield found
            todo.extend(getattr(found, name) for name in reversed(found.__match_args__))
