"""Formulas that a spec writes, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place
from dslc.formula import Formula

OPERATORS: Mapping[str, str] = {
    "+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "^": "Pow", "max": "Max", "min": "Min", "exp": "Exp", "log": "Log",
    "sqrt": "Sqrt", "abs": "Abs", "sign": "Sign", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus",
}  # fmt: skip


def _activation(at: Place) -> str:
    """A formula without x is the same number everywhere."""
    made = _of_tree(at, at.layer.y)
    return made if _mentions_x(at.layer.y) else at.op("Expand", made, at.op("Shape", *at.x))


def _of_tree(at: Place, formula: Formula) -> str:
    if formula.operation == "number":
        return at.number(formula.number)
    if formula.operation == "variable":
        return at.x[0]
    return at.op(OPERATORS[formula.operation], *(_of_tree(at, part) for part in formula.parts))


def _mentions_x(formula: Formula) -> bool:
    return formula.operation == "variable" or any(map(_mentions_x, formula.parts))


FORMS: Mapping[str, Form] = {"activation": _activation}
"""By the name of the layer."""
