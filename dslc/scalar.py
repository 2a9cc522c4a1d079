"""Formulas of one element, such as an activation, its derivative or an optimizer's rule.

A formula is built with Python's operators and the functions below and printed as C. It is not evaluated in Python:
the NumPy references are written separately, so that one can be tested against the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

ONE_MINUS, EXACT = "one_minus_", "exact_"
NUMBER = re.compile(r"-?\d+|REAL\([-+.\de]*\)")


@dataclass(frozen=True)
class Scalar:
    """A C expression and the precedence of its outermost operator: 1 for `?:` up to 9 for a name or a call. Products
    have two `factors`."""

    code: str
    level: int
    factors: tuple[Scalar, ...] = ()

    def __add__(self, other: Scalar | float) -> Scalar:
        return _sum(self, other)

    def __radd__(self, other: float) -> Scalar:
        return _sum(constant(other), self)

    def __sub__(self, other: Scalar | float) -> Scalar:
        return _difference(self, other)

    def __rsub__(self, other: float) -> Scalar:
        return _difference(constant(other), self)

    def __mul__(self, other: Scalar | float) -> Scalar:
        return _product(self, other)

    def __rmul__(self, other: float) -> Scalar:
        return _product(constant(other), self)

    def __truediv__(self, other: Scalar | float) -> Scalar:
        return _binary(self, "/", other, 5, 6)

    def __rtruediv__(self, other: float) -> Scalar:
        return _binary(constant(other), "/", self, 5, 6)

    def __pow__(self, exponent: float) -> Scalar:
        """In double precision, as `power`."""
        return power(self, constant(exponent))

    def __neg__(self) -> Scalar:
        if self.factors:
            first, second = self.factors
            return -first * second
        if self.level == 6:
            return Scalar(self.code.removeprefix("-"), 9)
        return Scalar(f"-{self.inside(7)}", 6)

    def __gt__(self, other: Scalar | float) -> Scalar:
        return _binary(self, ">", other, 3, 4)

    def __ge__(self, other: Scalar | float) -> Scalar:
        return _binary(self, ">=", other, 3, 4)

    def __lt__(self, other: Scalar | float) -> Scalar:
        return _binary(self, "<", other, 3, 4)

    def of(self, name: str, value: Scalar) -> Scalar:
        """The formula with `value` in place of the variable `name`."""
        return self.of_all({name: value})

    def of_all(self, values: Mapping[str, Scalar]) -> Scalar:
        """The formula with values in place of several variables at once."""
        if self.code in values:
            return values[self.code]
        names = "|".join(map(re.escape, values))
        code = re.sub(rf"\b({names})\b", lambda found: _put(values[found[0]], found), self.code)
        return Scalar(code, self.level, tuple(factor.of_all(values) for factor in self.factors))

    def reads(self, name: str) -> bool:
        """Whether the variable `name` is in the formula."""
        return re.search(rf"\b{name}\b", self.code) is not None

    @property
    def is_number(self) -> bool:
        """Whether it is a constant."""
        return NUMBER.fullmatch(self.code) is not None

    def inside(self, level: int) -> str:
        """The C text as an operand of an operator of precedence `level`: in brackets if it binds less strongly."""
        return self.code if self.level >= level else f"({self.code})"

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True)
class Hyperparameter(Scalar):
    """A number that the C takes at run time: kernels call it `code`, or `one_minus_` or `exact_` and that, and the
    network's struct has it as `field`."""

    field: str = ""

    def __rsub__(self, other: float) -> Scalar:
        """1 - it is computed before it is rounded: a number of its own."""
        return variable(f"{ONE_MINUS}{self.code}") if other == 1 else super().__rsub__(other)


def _put(value: Scalar, found: re.Match[str]) -> str:
    """A value in the place that was found, without brackets if it is all that stands in some."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    alone = before.endswith(("(", ", ")) and after.startswith((")", ","))
    return value.code if alone else value.inside(9)


def _binary(left: Scalar, operator: str, right: Scalar | float, level: int, right_level: int) -> Scalar:
    other = scalar(right)
    return Scalar(f"{left.inside(level)} {operator} {other.inside(right_level)}", level)


def _product(left: Scalar, right: Scalar | float) -> Scalar:
    return replace(_binary(left, "*", right, 5, 5), factors=(left, scalar(right)))


def _sum(left: Scalar, right: Scalar | float) -> Scalar:
    other = scalar(right)
    if left.factors and not other.is_number:
        return _fused(left, other)
    if other.factors and not left.is_number:
        return _fused(other, left)
    return _binary(left, "+", other, 4, 4)


def _difference(left: Scalar, right: Scalar | float) -> Scalar:
    other = scalar(right)
    if left.factors and not other.is_number:
        return _fused(left, -other)
    if other.factors and not left.is_number:
        return _fused(-other, left)
    return _binary(left, "-", other, 4, 5)


def _fused(product: Scalar, added: Scalar) -> Scalar:
    a, b = product.factors
    return multiply_add(a, b, added)


def multiply_add(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    """a b + c with one rounding where the target has such an instruction. Sums of a product and of anything but a
    number are printed so: C leaves to the compiler which products it fuses with an addition, and in the vectors of a
    loop it may decide differently than in the rest of the loop, whose beginning depends on the number of threads."""
    return Scalar(f"multiply_add({a.code}, {b.code}, {c.code})", 9)


def scalar(value: Scalar | float) -> Scalar:
    """A formula, or a number as one."""
    return value if isinstance(value, Scalar) else constant(value)


def variable(name: str) -> Scalar:
    """A C variable, such as `x`, or an array element, such as `scale[0]`."""
    return Scalar(name, 9)


def constant(value: float) -> Scalar:
    """A number in its shortest exact spelling; `REAL(...)` gives it the precision of the network."""
    level = 9 if value >= 0 else 5
    if float(value).is_integer() and abs(value) < 1e6:
        return Scalar(f"{int(value)}", level)
    return Scalar(f"REAL({float(value)!r})", level)


def exact(value: Scalar | float) -> Scalar:
    """A number for a formula in double precision, which is not rounded before."""
    return variable(f"{EXACT}{value.code}") if isinstance(value, Hyperparameter) else scalar(value)


def larger(x: Scalar, y: Scalar | float) -> Scalar:
    """The larger of two numbers."""
    return where(x > y, x, y)


def where(condition: Scalar, yes: Scalar | float, no: Scalar | float) -> Scalar:
    """`condition ? yes : no`."""
    return Scalar(f"{condition.inside(2)} ? {scalar(yes).inside(2)} : {scalar(no).inside(2)}", 1)


def _function(name: str, argument: Scalar) -> Scalar:
    return Scalar(f"{name}({argument.code})", 9)


def exp(x: Scalar) -> Scalar:
    """e^x."""
    return _function("real_exp", x)


def tanh(x: Scalar) -> Scalar:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return _function("real_tanh", x)


def sigmoid(x: Scalar) -> Scalar:
    """1 / (1 + e^-x), without overflow at either end (notes: 'Sigmoid function')."""
    return _function("real_sigmoid", x)


def tanh_softplus(x: Scalar) -> Scalar:
    """tanh(log(1 + e^x)), as accurate below 0 as above."""
    return _function("real_tanh_softplus", x)


def log(x: Scalar) -> Scalar:
    """The natural logarithm of x > 0."""
    return _function("real_log", x)


def log1p(x: Scalar) -> Scalar:
    """log(1 + x), accurate for small x."""
    return _function("real_log1p", x)


def expm1(x: Scalar) -> Scalar:
    """e^x - 1, exact near 0 too."""
    return _function("real_expm1", x)


def normal(x: Scalar) -> Scalar:
    """The normal distribution function, (1 + erf(x / sqrt(2))) / 2."""
    return _function("real_normal", x)


def sqrt(x: Scalar) -> Scalar:
    """The square root of x >= 0."""
    return _function("real_sqrt", x)


def absolute(x: Scalar) -> Scalar:
    """x|."""
    return _function("real_abs", x)


def sign_bit(x: Scalar) -> Scalar:
    """Whether x has a minus sign, which a negative zero has too."""
    return _function("real_sign_bit", x)


NEGATIVE_ZERO = Scalar("REAL(-0.0)", 9)


def power(x: Scalar, exponent: Scalar) -> Scalar:
    """x^exponent in double precision: only for what is computed once in a step, such as 1 - beta^t of Adam."""
    return Scalar(f"pow({x.code}, {exponent.code})", 9)


def nadam_product(beta: Scalar, decay: float, steps: Scalar) -> Scalar:
    """beta (1 - 0.96^(i decay) / 2), multiplied for i from 1 to `steps`, in double precision: once in a step."""
    return Scalar(f"nadam_product({beta}, {constant(decay)}, {steps.code})", 9)


def sign(x: Scalar) -> Scalar:
    """1, 0 or -1."""
    return where(x > 0, 1, where(x < 0, -1, 0))
