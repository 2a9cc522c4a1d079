"""The first stage: a `.net` file as it was written, before any name has a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from dslc.source import Source, Span


@dataclass(frozen=True)
class Number:
    span: Span
    value: int | float


@dataclass(frozen=True)
class Size:
    """`5x5` or `28x28x1`."""

    span: Span
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Text:
    span: Span
    value: str


@dataclass(frozen=True)
class Switch:
    """`on` or `off`."""

    span: Span
    value: bool


@dataclass(frozen=True)
class Name:
    span: Span
    name: str


@dataclass(frozen=True)
class Binary:
    span: Span
    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Negate:
    span: Span
    operand: Expr


@dataclass(frozen=True)
class Argument:
    """One argument of a call; `name` is None for a positional one."""

    span: Span
    name: str | None
    value: Expr


@dataclass(frozen=True)
class Call:
    """`name(arguments)`; in a chain also a bare `name`, then `arguments` is None."""

    span: Span
    name: str
    name_span: Span
    arguments: tuple[Argument, ...] | None


Expr = Union[Number, Size, Text, Switch, Name, Binary, Negate, Call]


@dataclass(frozen=True)
class Chain:
    span: Span
    links: tuple[Call, ...]


@dataclass(frozen=True)
class InputDecl:
    span: Span
    name: str
    name_span: Span
    size: Expr


@dataclass(frozen=True)
class OutputDecl:
    span: Span
    name: str
    name_span: Span
    chain: Chain


@dataclass(frozen=True)
class Assign:
    span: Span
    name: str
    name_span: Span
    chain: Chain


@dataclass(frozen=True)
class Repeat:
    span: Span
    count: Expr
    body: tuple[Statement, ...]


Statement = Union[InputDecl, OutputDecl, Assign, Repeat, Chain]


@dataclass(frozen=True)
class ParamDecl:
    """`param NAME = value in range`."""

    span: Span
    name: str
    name_span: Span
    value: Expr
    range: Call | None


@dataclass(frozen=True)
class Formal:
    """A parameter of a block."""

    span: Span
    name: str
    default: Expr | None


@dataclass(frozen=True)
class BlockDecl:
    span: Span
    name: str
    name_span: Span
    formals: tuple[Formal, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class NetDecl:
    span: Span
    name: str
    name_span: Span
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Condition:
    """`predict_us <= 50`, behind `subject_to`."""

    span: Span
    name: str
    comparison: str
    bound: Expr


@dataclass(frozen=True)
class Setting:
    """One line of `train`: `key value, ...`, `key head: value` or `key a -> b`."""

    span: Span
    key: str
    key_span: Span
    head: Name | None
    values: tuple[Expr, ...]
    then: tuple[Expr, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class TrainDecl:
    span: Span
    settings: tuple[Setting, ...]


Declaration = Union[ParamDecl, BlockDecl, NetDecl, TrainDecl]


@dataclass(frozen=True)
class Program:
    """A whole file."""

    source: Source
    declarations: tuple[Declaration, ...]

    def verify(self) -> None:
        """Every declaration lies inside the file, in the order of the text."""
        last = 0
        for declaration in self.declarations:
            assert last <= declaration.span.start <= declaration.span.end <= len(self.source.text)
            last = declaration.span.start
