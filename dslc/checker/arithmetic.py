"""What operators and functions make of the values of their operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dslc.language import ast
from dslc.language.arguments import show
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record
from dslc.language.source import Span

BEYOND_FLOAT32 = 2.0**128 - 2.0**103
"""The first number that float32 rounds to infinity: the largest, 2^128 - 2^104, and half a step more. bf16 has as
many."""


@dataclass(frozen=True)
class Room:
    """How large the numbers of a network may be. A `precision` of "" has room for every finite number."""

    precision: str = ""

    @staticmethod
    def of(precision: str) -> Room:
        """That of float32, float64 or mixed."""
        return Room("" if precision == "float64" else "float32")

    def require(self, value: object, span: Span) -> None:
        """Raises Impossible for a number that does not fit, also one of several."""
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if isinstance(number, float) and self.precision and abs(number) >= BEYOND_FLOAT32:
                raise Impossible(TooLargeFor(span, show(number), self.precision))


@record
class NotANumber(Diagnostic):
    """Arithmetic with something else: `dense(8 * "2")`."""

    found: str
    message = "arithmetic needs numbers, and this is {found}"


@record
class DividedByZero(Diagnostic):
    """A division by zero: `dense(8 / 0)`."""

    message = "this divides by zero"


@record
class NotFinite(Diagnostic):
    """A result above 1e300, or that is no real number: `dense(1e200 * 1e200)`, `dense((-2)^0.5)`."""

    message = "this is too large, or no real number"


@record
class TooLargeFor(Diagnostic):
    """A number of the file that the precision of its network has only as infinity: `init=constant(1e300)`."""

    shown: str
    precision: str
    message = "{shown} is too large for {precision}, whose largest number is 3.4e+38"
    hints = ("help: with `precision float64` in train, numbers go up to 1.8e+308",)


@record
class BadSize(Diagnostic):
    """`size` with other than two or three whole numbers: `conv(8, size(3))`."""

    message = "size takes two or three whole numbers: size(height, width[, channels])"


@record
class NoFunction(Diagnostic):
    """A call in a value that is none of its functions: `dense(sqrt(16))`."""

    name: str
    message = "'{name}' cannot be called here"

    @property
    def notes(self) -> tuple[str, ...]:
        """The nearest function, or all of them."""
        listed = "help: a value can call max(a, b), min(a, b), round(a), size(a, b) and size(a, b, c)"
        return (did_you_mean(self.name, FUNCTIONS) or listed,)


@record
class BadNumbers(Diagnostic):
    """A function of numbers with something else, or with too many or too few: `dense(max(8))`."""

    message = "{what}"
    what: str


@record
class NoCondition(Diagnostic):
    """A value that neither holds nor fails: `when 3 { ... }`."""

    found: str
    message = "a condition is wanted here, and this is {found}"
    hints = ("help: compare it, as in stride > 1, or give a param that is on or off",)


@record
class NotAlike(Diagnostic):
    """A comparison of two kinds of values: `when stride == 2x2 { ... }`."""

    left: str
    right: str
    message = "{left} and {right} cannot be compared"


class Impossible(Exception):
    """A computation without a result; `diagnostic` says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self.diagnostic = diagnostic


def _raised(a: float, b: float) -> int | float:
    """a^b; whole where both are whole and the result is below 2^53. Raises OverflowError where it is no real number."""
    value = float(a) ** float(b)
    if isinstance(value, complex):
        raise OverflowError
    return int(value) if isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(value) < 2**53 else value


OPERATORS: dict[str, Callable[[Any, Any], int | float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "^": _raised,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def operated(expr: ast.Binary, left: int | float, right: int | float) -> int | float:
    """`left operator right`; comparisons give a bool. Raises Impossible for a division by zero and above 1e300."""
    try:
        value = OPERATORS[expr.operator](left, right)
    except ZeroDivisionError:
        raise Impossible(DividedByZero(expr.span)) from None
    except OverflowError:
        raise Impossible(NotFinite(expr.span)) from None
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > 1e300:
        raise Impossible(NotFinite(expr.span))
    return value


def compared(expr: ast.Binary, left: object, right: object) -> bool:
    """`left == right` or `left != right`, of one kind of values. Raises Impossible for two kinds."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (left, right))
    if not numbers and type(left) is not type(right):
        raise Impossible(NotAlike(expr.span, show(left), show(right)))
    return (left == right) == (expr.operator == "==")


def called(expr: ast.Call, values: tuple[object, ...]) -> object:
    """The result of a function of the language. Raises Impossible for another name and for wrong arguments."""
    if expr.name not in FUNCTIONS:
        raise Impossible(NoFunction(expr.name_span, expr.name))
    if any(argument.name for argument in expr.arguments or ()):
        values = ()
    return FUNCTIONS[expr.name](expr, values)


def _size(expr: ast.Call, values: tuple[object, ...]) -> tuple[int, ...]:
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(whole) != len(values) or len(values) not in (2, 3):
        raise Impossible(BadSize(expr.span))
    return tuple(whole)


def _numbers(values: tuple[object, ...]) -> list[int | float]:
    return [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]


def _extreme(expr: ast.Call, values: tuple[object, ...]) -> int | float:
    """The smallest or largest of two or more numbers."""
    numbers = _numbers(values)
    if len(numbers) != len(values) or len(numbers) < 2:
        raise Impossible(BadNumbers(expr.span, f"{expr.name} takes two or more numbers"))
    return max(numbers) if expr.name == "max" else min(numbers)


def _round(expr: ast.Call, values: tuple[object, ...]) -> int:
    """The nearest whole number; of two that are equally near, the larger one."""
    numbers = _numbers(values)
    if len(numbers) != 1 or len(values) != 1:
        raise Impossible(BadNumbers(expr.span, "round takes one number"))
    return math.floor(numbers[0] + 0.5)


FUNCTIONS: dict[str, Callable[[ast.Call, tuple[object, ...]], object]] = {
    "max": _extreme,
    "min": _extreme,
    "round": _round,
    "size": _size,
}
