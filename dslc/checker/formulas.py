"""Formulas of elements, `loss formula((y - t)^2)`: what a spec writes as a tree that can be differentiated."""

from __future__ import annotations

import math
from dataclasses import replace

from dslc import formula
from dslc.checker.arithmetic import DividedByZero, Impossible, NotFinite, Room
from dslc.formula import FUNCTIONS, POWERS, Formula
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic, did_you_mean
from dslc.language.record import record

MOST = 1000


@record
class NotInFormula(Diagnostic):
    """What a formula of elements cannot have: `formula(y == t)`, `formula((y - z)^2)`."""

    found: str
    variables: tuple[str, ...]
    near: str = ""

    @property
    def title(self) -> str:
        """Quotes it."""
        return f"a formula cannot have {self.found}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was meant, or all that there is."""
        listed = (
            f"help: it has {', '.join(self.variables)}, numbers, params, + - * / ^ and {', '.join(sorted(FUNCTIONS))}"
        )
        return (self.near or listed,)


@record
class FormulaIsConstant(Diagnostic):
    """A formula without a variable that it is about: `activation(2)`, or `loss formula(y)` without the target."""

    variable: str
    learns: bool = False

    @property
    def title(self) -> str:
        """Names the variable, and what it is that would not matter."""
        lost = "the targets would not matter" if self.learns else "nothing could learn from it"
        return f"this formula does not depend on {self.variable}: {lost}"


@record
class FormulaTooLong(Diagnostic):
    """A formula that is differentiated to more than there is room for."""

    message = f"the derivative of this formula has more than {MOST} numbers and operations"
    hints = ("help: write it in a shorter form, with smaller exponents",)


class FormulaReader:
    """Reads a formula in these variables, the first of which it is differentiated by. `known`: the params that are
    numbers; `others`: all names, for hints; `room`: how large numbers may be, computed ones too."""

    def __init__(
        self, variables: tuple[str, ...], known: dict[str, float], others: tuple[str, ...], room: Room = Room()
    ) -> None:
        self.variables, self.known, self.others, self.room = variables, known, others, room

    def read(self, expr: ast.Expr) -> Formula:
        """The tree. Raises Impossible."""
        found = replace(self._tree(expr), text=" ".join(expr.span.text.split()))
        slope = found.derivative(self.variables[0])
        if slope == formula.ZERO:
            raise Impossible(FormulaIsConstant(expr.span, self.variables[0]))
        if absent := [name for name in self.variables if found.derivative(name) == formula.ZERO]:
            raise Impossible(FormulaIsConstant(expr.span, absent[0], learns=True))
        if max(found.size, slope.size) > MOST:
            raise Impossible(FormulaTooLong(expr.span))
        for number in (*found.numbers, *slope.numbers):
            if not math.isfinite(number):
                raise Impossible(NotFinite(expr.span))
            self.room.require(number, expr.span)
        return found

    def _tree(self, expr: ast.Expr) -> Formula:
        if isinstance(expr, ast.Number):
            return formula.number(expr.value)
        if isinstance(expr, ast.Name):
            return self._named(expr)
        if isinstance(expr, ast.Negate):
            return formula.multiply(formula.number(-1), self._tree(expr.operand))
        if isinstance(expr, ast.Call):
            return self._called(expr)
        if isinstance(expr, ast.Binary) and expr.operator in BUILT:
            left, right = self._tree(expr.left), self._tree(expr.right)
            if expr.operator == "/" and right == formula.ZERO:
                raise Impossible(DividedByZero(expr.right.span))
            return BUILT[expr.operator](left, right)
        if isinstance(expr, ast.Binary) and expr.operator == "^":
            return self._power(expr)
        what = f"'{expr.operator}'" if isinstance(expr, ast.Binary) else f"'{expr.span.text}'"
        raise Impossible(NotInFormula(expr.span, what, self.variables))

    def _named(self, expr: ast.Name) -> Formula:
        if expr.name in self.variables:
            return formula.variable(expr.name)
        if expr.name in self.known:
            return formula.number(self.known[expr.name])
        near = did_you_mean(expr.name, (*self.variables, *self.others))
        raise Impossible(NotInFormula(expr.span, f"'{expr.name}'", self.variables, near))

    def _called(self, expr: ast.Call) -> Formula:
        arguments = expr.arguments or ()
        if expr.name not in FUNCTIONS:
            near = did_you_mean(expr.name, FUNCTIONS)
            raise Impossible(NotInFormula(expr.name_span, f"'{expr.name}'", self.variables, near))
        if len(arguments) != FUNCTIONS[expr.name] or any(argument.name for argument in arguments):
            takes = f"{expr.name} of other than {('one number', 'two numbers')[FUNCTIONS[expr.name] - 1]}"
            raise Impossible(NotInFormula(expr.span, takes, self.variables))
        return formula.function(expr.name, *(self._tree(argument.value) for argument in arguments))

    def _power(self, expr: ast.Binary) -> Formula:
        exponent = self._tree(expr.right)
        if exponent.operation != "number" or exponent.number not in POWERS:
            what = f"the exponent '{expr.right.span.text}'"
            near = "help: exponents are whole numbers and halves from -8 to 8; else write exp(b * log(a))"
            raise Impossible(NotInFormula(expr.right.span, what, self.variables, near))
        return formula.power(self._tree(expr.left), exponent.number)


BUILT = {"+": formula.add, "-": formula.subtract, "*": formula.multiply, "/": formula.divide}
