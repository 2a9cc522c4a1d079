"""Arithmetic of values, `x * 0.5` and `x + y`, as the layers that do it: `activation` and `add`, `subtract`, ..."""

from __future__ import annotations

from dslc import formula
from dslc.checker.arithmetic import Impossible
from dslc.formula import POWERS, Formula
from dslc.language import ast
from dslc.language.arguments import show
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.layers import Layer
from dslc.layers.activation import FormulaActivation
from dslc.layers.add import Add
from dslc.layers.divide import Divide
from dslc.layers.multiply import Multiply
from dslc.layers.subtract import Subtract

JOINING: dict[str, tuple[str, type[Layer]]] = {
    "+": ("add", Add),
    "-": ("subtract", Subtract),
    "*": ("multiply", Multiply),
    "/": ("divide", Divide),
}
"""The layer for an operator between two values, with its name."""
BUILT = {"+": formula.add, "-": formula.subtract, "*": formula.multiply, "/": formula.divide}
X = formula.variable("x")


@record
class NoArithmetic(Diagnostic):
    """What arithmetic of values does not know: `x // 2 -> relu`, `1 + max(x, y) -> relu`."""

    what: str
    message = "values cannot be combined by {what}"
    hints = ("help: there are + - * / between values and numbers, and ^ with a number; for others see the layers",)


@record
class NothingCombined(Diagnostic):
    """A chain that starts with a number: `2 * 3 -> relu`."""

    message = "a chain starts with a layer or a value, and this is a number"


def has_value(expr: ast.Expr, names: frozenset[str]) -> bool:
    """Whether one of these values is in an expression, other than by its size."""
    return any(isinstance(node, ast.Name) and node.name in names for node in ast.walk(expr))


def with_number(expr: ast.Binary, number: float, before: bool) -> FormulaActivation:
    """The layer for an operator between a value and a number, which stands before it or behind. Raises Impossible."""
    if expr.operator == "^" and not before and number in POWERS and number:
        found: Formula = formula.power(X, number)
    elif expr.operator in BUILT:
        parts = (formula.number(number), X) if before else (X, formula.number(number))
        found = BUILT[expr.operator](*parts)
    else:
        raise Impossible(NoArithmetic(expr.span, f"'{expr.operator}'"))
    shown = show(number)
    text = f"{shown} {expr.operator} x" if before else f"x {expr.operator} {shown}"
    return FormulaActivation(Formula(found.operation, found.parts, found.number, found.name, text))


def negated() -> FormulaActivation:
    """The layer for `-x`."""
    found = formula.multiply(formula.number(-1), X)
    return FormulaActivation(Formula(found.operation, found.parts, text="-x"))
