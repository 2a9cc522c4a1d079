"""Formulas in NumPy: the value and its derivative together, forward through the tree (dual numbers: Wengert 1964).

It is independent of the symbolic derivatives of `formula.py`, of which it is the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dslc.formula import Formula
from dslc.numerics import Array, np

Dual = tuple[Array, Array]
"""A value and its derivative."""


def evaluated(formula: Formula, values: Mapping[str, Array], by: str) -> Dual:
    """The formula at these values of its variables, and its derivative with respect to one of them."""
    if formula.operation == "number":
        return np.asarray(formula.number), np.asarray(0.0)
    if formula.operation == "variable":
        value = values[formula.name]
        return value, np.full_like(value, float(formula.name == by))
    parts = [evaluated(part, values, by) for part in formula.parts]
    if formula.operation == "^":
        (a, da), exponent = parts[0], formula.parts[1].number
        return a**exponent, exponent * a ** (exponent - 1) * da
    if formula.operation in OF_TWO:
        return OF_TWO[formula.operation](*parts[0], *parts[1])
    a, da = parts[0]
    value, slope = OF_ONE[formula.operation](a)
    return value, slope * da


def _logistic(a: Array) -> Array:
    return np.exp(-np.logaddexp(0, -a))


OF_ONE: dict[str, Callable[[Array], Dual]] = {
    "exp": lambda a: (np.exp(a), np.exp(a)),
    "log": lambda a: (np.log(a), 1 / a),
    "sqrt": lambda a: (np.sqrt(a), 0.5 / np.sqrt(a)),
    "abs": lambda a: (np.abs(a), np.sign(a)),
    "sign": lambda a: (np.sign(a), np.zeros_like(a)),
    "tanh": lambda a: (np.tanh(a), 1 / np.cosh(a) ** 2),
    "sigmoid": lambda a: (_logistic(a), _logistic(a) * _logistic(-a)),
    "softplus": lambda a: (np.logaddexp(0, a), _logistic(a)),
}
OF_TWO: dict[str, Callable[[Array, Array, Array, Array], Dual]] = {
    "+": lambda a, da, b, db: (a + b, da + db),
    "-": lambda a, da, b, db: (a - b, da - db),
    "*": lambda a, da, b, db: (a * b, da * b + a * db),
    "/": lambda a, da, b, db: (a / b, (da * b - a * db) / b**2),
    "max": lambda a, da, b, db: (np.maximum(a, b), np.where(a >= b, da, db)),
    "min": lambda a, da, b, db: (np.minimum(a, b), np.where(a <= b, da, db)),
}
