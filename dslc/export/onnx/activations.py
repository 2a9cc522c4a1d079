"""Activations as ONNX operators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dslc.export.onnx.place import Form, Place


def unary(kind: str, **attributes: Any) -> Form:
    """One operator without arguments."""
    return lambda at: at.op(kind, *at.x, **attributes)


def _leaky_relu(at: Place) -> str:
    return at.op("LeakyRelu", *at.x, alpha=at.layer.alpha)


def _relu6(at: Place) -> str:
    return at.op("Clip", *at.x, at.number(0), at.number(6))


def _silu(at: Place) -> str:
    return at.op("Mul", *at.x, at.op("Sigmoid", *at.x))


def _mish(at: Place) -> str:
    return at.op("Mul", *at.x, at.op("Tanh", at.op("Softplus", *at.x)))


def _gelu(at: Place) -> str:
    """x * (1 + erf(x / sqrt(2))) / 2, or with tanh in the place of the normal distribution function."""
    x = at.x[0]
    if at.layer.approximate == "tanh":
        cubic = at.op("Mul", at.op("Mul", at.op("Mul", x, x), x), at.number(0.044715))
        inner = at.op("Tanh", at.op("Mul", at.op("Add", x, cubic), at.number(math.sqrt(2 / math.pi))))
    else:
        inner = at.op("Erf", at.op("Div", x, at.number(math.sqrt(2))))
    return at.op("Mul", at.op("Mul", x, at.op("Add", inner, at.number(1))), at.number(0.5))


def _prelu(at: Place) -> str:
    return at.op("PRelu", *at.x, at.by_channel("slope"))


def _glu(at: Place) -> str:
    a, b = at.split(*at.x, outputs=2, axis=1)
    return at.op("Mul", a, at.op("Sigmoid", b))


def _maxout(at: Place) -> str:
    """The channels in groups of `pieces`, and the largest of each."""
    *pixels, channels = at.result
    apart = at.reshaped(at.x[0], "pieces", channels, at.layer.pieces, *pixels)
    return at.op("ReduceMax", apart, axes=[2], keepdims=0)


FORMS: Mapping[str, Form] = {
    "elu": unary("Elu"),
    "gelu": _gelu,
    "glu": _glu,
    "hard_sigmoid": unary("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_swish": unary("HardSwish"),
    "leaky_relu": _leaky_relu,
    "log_softmax": unary("LogSoftmax", axis=1),
    "maxout": _maxout,
    "mish": _mish,
    "prelu": _prelu,
    "relu": unary("Relu"),
    "relu6": _relu6,
    "selu": unary("Selu"),
    "sigmoid": unary("Sigmoid"),
    "silu": _silu,
    "softmax": unary("Softmax", axis=1),
    "softplus": unary("Softplus"),
    "softsign": unary("Softsign"),
    "swish": _silu,
    "tanh": unary("Tanh"),
}
"""By the name of the layer."""
