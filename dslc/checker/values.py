"""Arithmetic of values, `x * 0.5` and `x + y`, as the layers that do it: `activation` and `add`, `subtract`, ..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dslc import formula, layers, registry
from dslc.checker.arithmetic import Impossible
from dslc.checker.expressions import Failed, Scope, number_of
from dslc.formula import POWERS
from dslc.ir import Value
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
class LayerInArithmetic(Diagnostic):
    """A layer as a term: `add(x, y) * 2 -> relu`, `1 + dense(4)`."""

    layer: str
    call: str
    message = "the layer {layer} cannot stand in arithmetic of values"
    hints = ("help: give its result a name first, h = {call}, and write h here",)


@record
class NothingCombined(Diagnostic):
    """A chain that starts with a number: `2 * 3 -> relu`."""

    message = "a chain starts with a layer or a value, and this is a number"


class Combination:
    """Arithmetic of values in one place; `add` makes a layer of a call and gives its result, None after reporting."""

    def __init__(self, scope: Scope, add: Callable[[ast.Call, Layer, tuple[Value, ...]], Value | None]) -> None:
        self.scope, self.add = scope, add

    def value(self, expr: ast.Binary | ast.Negate) -> Value:
        """The value that an expression is. Raises Failed after reporting."""
        try:
            found = self._combined(expr)
        except Impossible as problem:
            raise self.scope.fail(problem.diagnostic) from None
        if not isinstance(found, Value):
            raise self.scope.fail(NothingCombined(expr.span))
        return found

    def _combined(self, expr: ast.Expr) -> Value | float:
        """A value, or a number where there is no value in it."""
        if isinstance(expr, ast.Call) and expr.name in registry.names(layers):
            raise Impossible(LayerInArithmetic(expr.span, expr.name, expr.span.text))
        if not any(self._makes_a_value(node) for node in ast.walk(expr)):
            return number_of(expr, self.scope)
        if isinstance(expr, ast.Name):
            return self.scope.flow(expr.name, expr.span)
        if isinstance(expr, ast.Negate):
            return self._layer(expr, "activation", _formula("*", -1, "-x", before=True), self._combined(expr.operand))
        if isinstance(expr, ast.Binary):
            return self._binary(expr, self._combined(expr.left), self._combined(expr.right))
        raise Impossible(NoArithmetic(expr.span, f"'{expr.name if isinstance(expr, ast.Call) else expr.span.text}'"))

    def _makes_a_value(self, node: object) -> bool:
        if isinstance(node, ast.Name):
            return node.name in self.scope.flows
        return isinstance(node, ast.Call) and node.name in registry.names(layers)

    def _binary(self, expr: ast.Binary, left: Value | float, right: Value | float) -> Value:
        if isinstance(left, Value) and isinstance(right, Value):
            if expr.operator not in JOINING:
                raise Impossible(NoArithmetic(expr.span, f"'{expr.operator}'"))
            name, layer = JOINING[expr.operator]
            return self._layer(expr, name, layer(), left, right)
        if isinstance(left, Value):
            return self._layer(expr, "activation", _with_number(expr, right, before=False), left)
        return self._layer(expr, "activation", _with_number(expr, left, before=True), right)

    def _layer(self, expr: ast.Expr, name: str, layer: Layer, *inputs: Value | float) -> Value:
        values = tuple(value for value in inputs if isinstance(value, Value))
        found = self.add(ast.Call(expr.span, name, expr.span, None), layer, values)
        if found is None:
            raise Failed
        return found


def _with_number(expr: ast.Binary, number: Value | float, *, before: bool) -> FormulaActivation:
    """The layer for an operator between a value and a number, which stands before it or behind. Raises Impossible."""
    assert not isinstance(number, Value)
    known = expr.operator in BUILT or (expr.operator == "^" and not before and number in POWERS and number)
    if not known:
        raise Impossible(NoArithmetic(expr.span, f"'{expr.operator}'"))
    shown = show(number)
    text = f"{shown} {expr.operator} x" if before else f"x {expr.operator} {shown}"
    return _formula(expr.operator, number, text, before=before)


def _formula(operator: str, number: float, text: str, *, before: bool) -> FormulaActivation:
    if operator == "^":
        found = formula.power(X, number)
    else:
        found = BUILT[operator](*((formula.number(number), X) if before else (X, formula.number(number))))
    return FormulaActivation(replace(found, text=text))
