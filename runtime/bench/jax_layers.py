"""Layers, losses and optimizers in JAX. Values lie as in dslc, channels last."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dslc.ir import Node

Tree = dict[str, Any]
IMAGES = ("NHWC", "HWIO", "NHWC")


def _own(node: Node) -> Any:
    """The layer, with the arguments of its kind."""
    return node.layer


def _conv(node: Node, xs: list[Any], p: Tree) -> Any:
    a = _own(node)
    pads = [a.window.padding(axis, node.input_shapes[0][axis]) for axis in (0, 1)]
    y = lax.conv_general_dilated(
        xs[0], p["weight"], a.window.stride, pads,
        rhs_dilation=a.window.dilation, dimension_numbers=IMAGES, feature_group_count=a.groups,
    )  # fmt: skip
    return y + p.get("bias", 0)


def _pool(node: Node, x: Any, fill: float, join: Callable[..., Any]) -> Any:
    """What a window finds; it reaches over the edge on the right where the last is not whole."""
    window = _own(node).window_for(node.input_shapes[0])
    pads = [(0, 0), *(window.padding(axis, node.input_shapes[0][axis]) for axis in (0, 1)), (0, 0)]
    if window.ceil:
        for axis in (0, 1):
            low, high = pads[axis + 1]
            covered = (node.output.shape[axis] - 1) * window.stride[axis] + window.size[axis]
            pads[axis + 1] = (low, max(high, covered - node.input_shapes[0][axis] - low))
    sizes, strides = (1, *window.size, 1), (1, *window.stride, 1)
    return lax.reduce_window(x, np.asarray(fill, x.dtype), join, sizes, strides, pads)


def _maxpool(node: Node, xs: list[Any], p: Tree) -> Any:
    y = _pool(node, xs[0], -np.inf, lax.max)
    return y.reshape(len(y), *node.output.shape)


def _avgpool(node: Node, xs: list[Any], p: Tree) -> Any:
    """The mean of the real pixels of each window."""
    sums = _pool(node, xs[0], 0, lax.add)
    y = sums / _pool(node, jnp.ones_like(xs[0][:1]), 0, lax.add)
    return y.reshape(len(y), *node.output.shape)


def _layernorm(node: Node, xs: list[Any], p: Tree) -> Any:
    axes = tuple(range(1, xs[0].ndim))
    mean, var = xs[0].mean(axes, keepdims=True), xs[0].var(axes, keepdims=True)
    return (xs[0] - mean) * lax.rsqrt(var + _own(node).eps) * p["gamma"] + p["beta"]


def batchnorm(node: Node, x: Any, p: Tree, training: bool) -> tuple[Any, Tree]:
    """The normalized values, and the running averages after them."""
    mean, var, new = p["mean"], p["var"], {"mean": p["mean"], "var": p["var"]}
    if training:
        axes, keep = tuple(range(x.ndim - 1)), _own(node).momentum
        mean = x.mean(axes)
        var = jnp.maximum((x * x).mean(axes) - mean * mean, 0)
        found = {"mean": mean, "var": var}
        new = {role: keep * new[role] + (1 - keep) * lax.stop_gradient(found[role]) for role in new}
    return (x - mean) * (p["gamma"] * lax.rsqrt(var + _own(node).eps)) + p["beta"], new


def dropout(node: Node, x: Any, key: Any | None) -> Any:
    """Inverted dropout; without a key nothing is dropped."""
    keep = 1 - _own(node).drop
    return x if key is None or keep == 1 else jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, xs, p: function(xs[0])


def _combined(function: Callable[..., Any]) -> Callable[..., Any]:
    """One value after the other; a vector of channels beside images is an image of one pixel."""

    def layer(node: Node, xs: list[Any], p: Tree) -> Any:
        images = any(x.ndim == 4 for x in xs)
        return reduce(function, (x[:, None, None] if images and x.ndim == 2 else x for x in xs))

    return layer


LAYERS: dict[str, Callable[..., Any]] = {
    "dense": lambda node, xs, p: xs[0] @ p["weight"] + p.get("bias", 0),
    "conv": _conv,
    "maxpool": _maxpool, "global_maxpool": _maxpool,
    "avgpool": _avgpool, "global_avgpool": _avgpool,
    "flatten": lambda node, xs, p: xs[0].reshape(len(xs[0]), -1),
    "reshape": lambda node, xs, p: xs[0].reshape(len(xs[0]), *node.output.shape),
    "layernorm": _layernorm, "batchnorm": batchnorm, "dropout": dropout,
    "add": _combined(jnp.add), "subtract": _combined(jnp.subtract), "multiply": _combined(jnp.multiply),
    "concat": lambda node, xs, p: jnp.concatenate(xs, -1),
    "linear": _elementwise(lambda x: x),
    "relu": _elementwise(jax.nn.relu), "relu6": _elementwise(jax.nn.relu6),
    "silu": _elementwise(jax.nn.silu), "swish": _elementwise(jax.nn.silu), "selu": _elementwise(jax.nn.selu),
    "elu": _elementwise(jax.nn.elu), "softplus": _elementwise(jax.nn.softplus),
    "tanh": _elementwise(jnp.tanh), "sigmoid": _elementwise(jax.nn.sigmoid),
    "gelu": lambda node, xs, p: jax.nn.gelu(xs[0], approximate=_own(node).approximate == "tanh"),
    "leaky_relu": lambda node, xs, p: jax.nn.leaky_relu(xs[0], _own(node).alpha),
    "softmax": _elementwise(lambda x: jax.nn.softmax(x, -1)),
}  # fmt: skip
"""By name; `batchnorm` and `dropout` are called otherwise, since training changes or draws something."""


def _cross_entropy(loss: Any, z: Any, y: Any) -> Any:
    logs = jax.nn.log_softmax(z, -1)
    right = jnp.take_along_axis(logs, y[:, None].astype(jnp.int32), axis=-1)[:, 0]
    smooth = loss.label_smoothing
    return -((1 - smooth) * right + smooth * logs.mean(-1)).mean()


def _huber(loss: Any, z: Any, y: Any) -> Any:
    d = jnp.abs(z - y)
    return jnp.where(d <= loss.delta, d * d / 2, loss.delta * (d - loss.delta / 2)).mean()


LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda loss, z, y: (jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean(),
    "mse": lambda loss, z, y: ((z - y) ** 2).mean(),
    "mae": lambda loss, z, y: jnp.abs(z - y).mean(),
    "huber": _huber,
}


def sgd(s: Tree, params: Tree, slopes: Tree, moments: tuple[Tree, ...], number: Any) -> tuple[Tree, tuple[Tree, ...]]:
    """v = momentum v + g; w -= lr v, with Nesterov w -= lr (g + momentum v)."""
    m = s["momentum"]
    v = {name: m * moments[0][name] + g for name, g in slopes.items()}
    step = {name: g + m * v[name] if s["nesterov"] else v[name] for name, g in slopes.items()}
    return {name: w - s["lr"] * step[name] for name, w in params.items()}, (v, moments[1])


def adam(s: Tree, params: Tree, slopes: Tree, moments: tuple[Tree, ...], number: Any) -> tuple[Tree, tuple[Tree, ...]]:
    """Kingma and Ba 2015; `number` counts steps from 1."""
    first = {n: s["beta1"] * moments[0][n] + (1 - s["beta1"]) * g for n, g in slopes.items()}
    second = {n: s["beta2"] * moments[1][n] + (1 - s["beta2"]) * g * g for n, g in slopes.items()}
    c1, c2 = 1 / (1 - s["beta1"] ** number), 1 / (1 - s["beta2"] ** number)

    def moved(name: str, w: Any) -> Any:
        step = s["lr"] * (first[name] * c1) / (jnp.sqrt(second[name] * c2) + s["eps"])
        return w - step.astype(w.dtype)

    return {name: moved(name, w) for name, w in params.items()}, (first, second)


OPTIMIZERS = {"sgd": sgd, "adam": adam, "adamw": adam}
"""By name; the decay of adamw is apart."""
