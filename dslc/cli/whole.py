"""Options that take a whole number. cyclopts alone would round a fraction in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import Parameter, Token

from dslc.cores import Threads as ThreadCount
from dslc.language.diagnostics import CallError
from dslc.language.parse import MAX_DIGITS


def _whole(_: object, tokens: Sequence[Token]) -> int:
    return _number(tokens[0], "a whole number")


def _threads(_: object, tokens: Sequence[Token]) -> int | Literal["auto"]:
    return "auto" if tokens[0].value == "auto" else _number(tokens[0], "a whole number or auto")


def _number(token: Token, wanted: str) -> int:
    """What a word says, as the language reads numbers.

    Raises:
        CallError: it is no whole number, or one too long for the language.
    """
    digits = token.value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise CallError(f"{token.keyword}: expected {wanted}, not {token.value!r}")
    if len(digits) > MAX_DIGITS:
        raise CallError(f"{token.keyword}: this number is too long; at most {MAX_DIGITS} digits fit")
    return int(token.value)


Whole = Annotated[int, Parameter(converter=_whole)]
OptionalWhole = Annotated[int | None, Parameter(converter=_whole)]
WholeOrAuto = Annotated[ThreadCount, Parameter(converter=_threads)]
