"""Operators of the domain ai.onnx.ml, as skl2onnx writes linear models, scalers and perceptrons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dslc.interchange.operators._at import At, Translation
from dslc.interchange.operators.elementwise import base_of, of_one, with_constant
from dslc.interchange.operators.functions import sigmoid
from dslc.interchange.operators.products import product
from dslc.interchange.values import Flowing, Formula, Lacking, Left, Value
from dslc.numerics import Array, np

NORMS: Mapping[str, Callable[[Array], Array]] = {
    "L1": lambda x: x / np.abs(x).sum(axis=-1, keepdims=True),
    "L2": lambda x: x / np.sqrt((x**2).sum(axis=-1, keepdims=True)),
    "MAX": lambda x: x / x.max(axis=-1, keepdims=True),
}


def _numbers(at: At, name: str) -> Array:
    found = at.node.attributes.get(name)
    if not isinstance(found, list) or not all(isinstance(n, int | float) for n in found):
        raise Lacking(f"its attribute {name} should be a list of numbers")
    return np.array(found, np.float32)


def _scaler(at: At) -> Value:
    """(x - offset) * scale."""
    moved = with_constant(at, "Sub", at.value(), _numbers(at, "offset"), False)
    return with_constant(at, "Mul", moved, _numbers(at, "scale"), False)


def of_rows(at: At, value: Value, kind: str, function: Callable[[Array], Array]) -> Formula:
    """A function of the whole vector of each example."""
    base, inner = base_of(at, value)
    if base.index.ndim != 1 or not base.whole:
        raise Lacking("it wants vectors")
    operand = value if isinstance(value, Formula) else base
    return Formula(base, lambda x: function(inner(x)), kind, (operand,), axis=0)


def _normalizer(at: At) -> Value:
    kind = at.text("norm", "MAX")
    if kind not in NORMS:
        raise Lacking(f"its norm is {kind}")
    return of_rows(at, at.value(), "Normalizer", NORMS[kind])


def _scores(at: At, count: int) -> Flowing:
    """A dense layer from `coefficients` (units, inputs) and `intercepts`."""
    x, coefficients = at.flowing(), _numbers(at, "coefficients")
    if count < 1 or x.index.ndim != 1 or coefficients.size != count * x.index.size:
        raise Lacking(f"it has {coefficients.size} coefficients for {x.index.size} features")
    bias = _numbers(at, "intercepts") if at.node.attributes.get("intercepts") else None
    return product(at, x, coefficients.reshape(count, -1).T, bias)


def _linear_classifier(at: At) -> tuple[Value, ...]:
    """The class, which is left out, and the scores or probabilities."""
    labels = at.node.attributes.get("classlabels_strings") or at.node.attributes.get("classlabels_ints") or []
    coefficients, inputs = _numbers(at, "coefficients"), at.flowing().index.size
    if coefficients.size // inputs != len(labels):
        raise Lacking("it has not one row of coefficients for each class")
    return Left(), _transformed(at, _scores(at, len(labels)))


def _linear_regressor(at: At) -> Value:
    return _transformed(at, _scores(at, at.whole("targets", 1)))


def _transformed(at: At, value: Flowing) -> Value:
    how = at.text("post_transform", "NONE")
    if how == "NONE":
        return value
    if how == "LOGISTIC":
        return of_one(at, value, "Sigmoid", sigmoid)
    if how == "SOFTMAX":
        return of_rows(at, value, "Softmax", _softmax)
    raise Lacking(f"its scores are transformed by {how}")


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _zip_map(at: At) -> Value:
    """A dict by class for each example; here an array with a column for each."""
    return at.value()


TRANSLATIONS: Mapping[str, Translation] = {
    "ai.onnx.ml.LinearClassifier": _linear_classifier,
    "ai.onnx.ml.LinearRegressor": _linear_regressor,
    "ai.onnx.ml.Normalizer": _normalizer,
    "ai.onnx.ml.Scaler": _scaler,
    "ai.onnx.ml.ZipMap": _zip_map,
}
"""By the name of the operator, with its domain."""
