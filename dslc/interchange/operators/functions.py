"""Functions of single numbers: activations, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dslc.interchange.arranging import complete
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.operators.elementwise import Function, of_one, with_number
from dslc.interchange.values import Flowing, Lacking, Value, of_ours
from dslc.numerics import Array, np

_ERF = np.vectorize(math.erf, otypes=[float])


def _unary(kind: str, function: Function) -> Translation:
    return lambda at: of_one(at, at.value(), kind, function)


def _limits(at: At, value: Value, low: float, high: float) -> Value:
    """min(max(x, low), high), as relu, relu6, or one of them of a line."""
    if math.isinf(high):
        return with_number(at, "Max", value, low) if not math.isinf(low) else value
    if math.isinf(low):
        return with_number(at, "Min", value, high)
    if not low < high:
        raise Lacking(f"its limits are {low} and {high}")
    if (low, high) == (0.0, 6.0):
        return of_one(at, value, "Relu6", lambda x: np.clip(x, 0, 6))
    wide = 6 / (high - low)
    moved = with_number(at, "Mul", with_number(at, "Sub", value, low), wide)
    inner = of_one(at, moved, "Relu6", lambda x: np.clip(x, 0, 6))
    return with_number(at, "Add", with_number(at, "Mul", inner, 1 / wide), low)


def _clip(at: At) -> Value:
    low, high = (_limit(at, place, name, end) for place, name, end in ((1, "min", -math.inf), (2, "max", math.inf)))
    return _limits(at, at.value(), *(end * math.inf if abs(end) > 3e38 else end for end in (low, high)))


def _limit(at: At, place: int, name: str, end: float) -> float:
    if at.given(place):
        return float(at.needed(place).ravel()[0])
    return at.real(name, end)


def _hard_sigmoid(at: At) -> Value:
    """clip(alpha x + beta, 0, 1)."""
    line = with_number(at, "Mul", at.value(), 6 * at.real("alpha", 0.2))
    moved = with_number(at, "Add", line, 6 * at.real("beta", 0.5) - 3)
    return of_one(at, moved, "HardSigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1))


def _leaky_relu(at: At) -> Value:
    alpha = at.real("alpha", 0.01)
    return of_one(at, at.value(), "LeakyRelu", lambda x: np.where(x >= 0, x, alpha * x))


def _elu(at: At) -> Value:
    alpha = at.real("alpha", 1.0)
    return of_one(at, at.value(), "Elu", lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def _selu(at: At) -> Value:
    alpha, gamma = at.real("alpha", 1.6732632), at.real("gamma", 1.0507010)
    return of_one(at, at.value(), "Selu", lambda x: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def _gelu(at: At) -> Value:
    if at.text("approximate", "none") == "tanh":
        return of_one(at, at.value(), "Gelu", lambda x: x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) / 2)
    return of_one(at, at.value(), "Gelu", lambda x: x * (1 + _ERF(x / math.sqrt(2))) / 2)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), which does not overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(x, np.float64)))


def _swish(at: At) -> Value:
    alpha = at.real("alpha", 1.0)
    return of_one(at, at.value(), "Swish", lambda x: x * sigmoid(alpha * x))


def _prelu(at: At) -> Value:
    slope, x = at.needed(1), complete(at.draft, at.flowing())
    if slope.size == 1:
        number = float(slope.ravel()[0])
        return of_one(at, x, "LeakyRelu", lambda v: np.where(v >= 0, v, number * v))
    if slope.ndim == x.index.ndim + 1:
        slope = slope[0]
    if slope.ndim == 1 and slope.size == x.index.shape[0] and x.index.ndim > 1 and slope.size != x.index.shape[-1]:
        slope = slope.reshape(-1, *(1 for _ in x.index.shape[1:]))
    step = at.emit("prelu", x, parameters={"slope": of_ours(x, slope)})
    return Flowing(step.result, step.shape, x.index)


TRANSLATIONS: Mapping[str, Translation] = {
    "Abs": _unary("Abs", np.abs),
    "Clip": _clip,
    "Elu": _elu,
    "Erf": _unary("Erf", _ERF),
    "Exp": _unary("Exp", np.exp),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary("HardSwish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "LeakyRelu": _leaky_relu,
    "Log": _unary("Log", np.log),
    "Mish": _unary("Mish", lambda x: x * np.tanh(_softplus(x))),
    "PRelu": _prelu,
    "Reciprocal": _unary("Reciprocal", lambda x: 1 / x),
    "Relu": _unary("Relu", lambda x: np.maximum(x, 0)),
    "Selu": _selu,
    "Sigmoid": _unary("Sigmoid", sigmoid),
    "Softplus": _unary("Softplus", _softplus),
    "Softsign": _unary("Softsign", lambda x: x / (1 + np.abs(x))),
    "Sqrt": _unary("Sqrt", np.sqrt),
    "Swish": _swish,
    "Tanh": _unary("Tanh", np.tanh),
}
"""By the name of the operator."""
