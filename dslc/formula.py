"""Formulas that a spec writes, such as `(y - t)^2 * 0.5`: their C, and their derivatives.

A formula is a tree. `derivative` applies the rules of calculus to it; constants are folded, so that what is printed
reads as if written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dslc import scalar
from dslc.scalar import Scalar

POWERS = tuple(n / 2 for n in range(-16, 17))
"""The exponents that there are: products and square roots."""


@dataclass(frozen=True)
class Formula:
    """A tree: `operation` is `number`, `variable`, an operator, a name of `FUNCTIONS`, or `choose` (c if a >= b, else
    d). `text` is what the spec says, of the root only."""

    operation: str
    parts: tuple[Formula, ...] = ()
    number: float = 0.0
    name: str = ""
    text: str = field(default="", compare=False)

    def scalar(self, names: Mapping[str, Scalar]) -> Scalar:
        """The formula for C; `names`: what the variables are there."""
        if self.operation == "number":
            return scalar.constant(self.number)
        if self.operation == "variable":
            return names[self.name]
        parts = [part.scalar(names) for part in self.parts]
        if self.operation == "^":
            return _power(parts[0], self.parts[1].number)
        return PRINTED[self.operation](*parts)

    def derivative(self, by: str) -> Formula:
        """The derivative with respect to a variable; where `abs` has a kink it is 0, and where two numbers tie for
        `max` or `min` that of the first."""
        if self.operation in ("number", "variable"):
            return number(float(self.name == by))
        slopes = [part.derivative(by) for part in self.parts]
        if self.operation in SLOPES:
            return multiply(SLOPES[self.operation](self.parts[0]), slopes[0])
        a, b = self.parts[0], self.parts[-1]
        da, db = slopes[0], slopes[-1]
        if self.operation == "choose":
            return choose(self.parts[0], self.parts[1], slopes[2], slopes[3])
        if self.operation == "max":
            return choose(a, b, da, db)
        if self.operation == "min":
            return choose(b, a, da, db)
        if self.operation == "^":
            return multiply(multiply(b, power(a, b.number - 1)), da)
        if self.operation == "*":
            return add(multiply(da, b), multiply(a, db))
        if self.operation == "/":
            return divide(subtract(da, multiply(self, db)), b)
        return add(da, db) if self.operation == "+" else subtract(da, db)

    @property
    def size(self) -> int:
        """How many numbers, variables and operations it has."""
        return 1 + sum(part.size for part in self.parts)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers in it, exponents too."""
        own = (self.number,) if self.operation == "number" else ()
        return (*own, *(number for part in self.parts for number in part.numbers))


def _power(base: Scalar, exponent: float) -> Scalar:
    """base^exponent as products and a square root."""
    whole = int(abs(exponent))
    factors = [base] * whole + [scalar.sqrt(base)] * (abs(exponent) != whole)
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return 1 / product if exponent < 0 else product


# ------------------------------------------------------------------------------------------------ building


def number(value: float) -> Formula:
    """A number."""
    return Formula("number", number=float(value))


def variable(name: str) -> Formula:
    """A variable."""
    return Formula("variable", name=name)


ZERO, ONE = number(0), number(1)


def _numbers(*parts: Formula) -> bool:
    return all(part.operation == "number" for part in parts)


def add(a: Formula, b: Formula) -> Formula:
    """a + b."""
    if _numbers(a, b):
        return number(a.number + b.number)
    if ZERO in (a, b):
        return b if a == ZERO else a
    return Formula("+", (a, b))


def subtract(a: Formula, b: Formula) -> Formula:
    """a - b."""
    if _numbers(a, b):
        return number(a.number - b.number)
    if a == ZERO:
        return multiply(number(-1), b)
    return a if b == ZERO else Formula("-", (a, b))


def multiply(a: Formula, b: Formula) -> Formula:
    """a * b."""
    if _numbers(a, b):
        return number(a.number * b.number)
    if ZERO in (a, b):
        return ZERO
    if ONE in (a, b):
        return b if a == ONE else a
    if _numbers(b):
        a, b = b, a
    if _numbers(a) and _has_factor(b):
        return multiply(number(a.number * b.parts[0].number), b.parts[1])
    if _has_factor(b):
        return multiply(b.parts[0], multiply(a, b.parts[1]))
    if _has_factor(a) and not _numbers(b):
        return multiply(a.parts[0], multiply(a.parts[1], b))
    return Formula("*", (a, b))


def _has_factor(a: Formula) -> bool:
    """Whether it is a product that begins with a number."""
    return a.operation == "*" and _numbers(a.parts[0])


def divide(a: Formula, b: Formula) -> Formula:
    """a / b; by a number other than 0 it is a product if that is exact."""
    if _numbers(a, b) and b != ZERO:
        return number(a.number / b.number)
    return a if b == ONE else ZERO if a == ZERO and b != ZERO else Formula("/", (a, b))


def power(a: Formula, exponent: float) -> Formula:
    """a^exponent, of which a^0 is 1 and a^1 is a."""
    if exponent in (0, 1):
        return ONE if exponent == 0 else a
    return Formula("^", (a, number(exponent)))


def choose(a: Formula, b: Formula, yes: Formula, no: Formula) -> Formula:
    """`yes` where a >= b, else `no`."""
    return yes if yes == no else Formula("choose", (a, b, yes, no))


def function(name: str, *parts: Formula) -> Formula:
    """One of `FUNCTIONS` of formulas."""
    return Formula(name, parts)


# ------------------------------------------------------------------------------------------------ functions


def _softplus(x: Scalar) -> Scalar:
    return scalar.larger(x, 0) + scalar.log1p(scalar.exp(-scalar.absolute(x)))


PRINTED: dict[str, Callable[..., Scalar]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: -b if a == scalar.constant(-1) else a * b,
    "/": lambda a, b: a / b,
    "max": lambda a, b: scalar.where(a >= b, a, b),
    "min": lambda a, b: scalar.where(b >= a, a, b),
    "choose": lambda a, b, yes, no: scalar.where(a >= b, yes, no),
    "sign": scalar.sign,
    "exp": scalar.exp,
    "log": scalar.log,
    "sqrt": scalar.sqrt,
    "abs": scalar.absolute,
    "tanh": scalar.tanh,
    "sigmoid": scalar.sigmoid,
    "softplus": _softplus,
}
"""C of an operation with the C of its parts."""
SLOPES: dict[str, Callable[[Formula], Formula]] = {
    "exp": lambda a: function("exp", a),
    "log": lambda a: divide(ONE, a),
    "sqrt": lambda a: divide(number(0.5), function("sqrt", a)),
    "abs": lambda a: function("sign", a),
    "sign": lambda a: ZERO,
    "tanh": lambda a: subtract(ONE, power(function("tanh", a), 2)),
    "sigmoid": lambda a: multiply(function("sigmoid", a), subtract(ONE, function("sigmoid", a))),
    "softplus": lambda a: function("sigmoid", a),
}
"""The derivatives of functions of one number."""
FUNCTIONS = {**dict.fromkeys(SLOPES, 1), "max": 2, "min": 2}
"""What a formula can call, with how many numbers."""
