"""JAX: the training step and the prediction are each one jitted function, images channels last."""

from __future__ import annotations

import os

if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == 1:
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from net import Net, Step, make_data
from rivals import Array, Rival, Weights

IMAGES = ("NHWC", "HWIO", "NHWC")
Tree = dict[str, Any]


class Jax(Rival):
    """XLA takes as many threads as the process has cores."""

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        assert weights is not None
        jax.config.update("jax_enable_x64", net.dtype == "float64")
        jax.config.update("jax_cpu_enable_async_dispatch", False)  # what is short comes back sooner this way
        self.net = net
        arrays = {name: jnp.array(w.T if w.ndim == 2 else w) for name, w in weights.items()}  # dense: (inputs, units)
        running = {name: a for name, a in arrays.items() if name.endswith((".mean", ".var"))}
        params = {name: a for name, a in arrays.items() if name not in running}
        self.state: Tree = {"params": params, "running": running, "moments": start(net, params), "step": jnp.int32(0)}
        x, labels = make_data(net)
        self.x, self.one = jnp.asarray(x), jnp.asarray(x[:1])
        self.labels = [jnp.asarray(y, jnp.int32 if net.head == "softmax" else y.dtype) for y in labels]
        self.step_of = jax.jit(make_step(net), donate_argnums=0)
        self.prediction_of = jax.jit(make_prediction(net))

    def train(self, turn: int) -> jax.Array:
        self.state, loss = self.step_of(self.state, self.x, self.labels[turn])
        return loss

    def predict(self) -> jax.Array:
        return self.prediction_of(self.state, self.x).block_until_ready()

    def predict_one(self) -> jax.Array:
        return self.prediction_of(self.state, self.one).block_until_ready()

    def array(self, result: jax.Array) -> Array:
        return np.asarray(result)


# ------------------------------------------------------------------------------------------------ what is jitted


def make_prediction(net: Net) -> Callable[[Tree, jax.Array], jax.Array]:
    def prediction(state: Tree, x: jax.Array) -> jax.Array:
        logits, _ = forward(net, state["params"], state["running"], x, None)
        return jax.nn.softmax(logits) if net.head == "softmax" else jax.nn.sigmoid(logits)

    return prediction


def make_step(net: Net) -> Callable[[Tree, jax.Array, jax.Array], tuple[Tree, jax.Array]]:
    def loss_of(params: Tree, running: Tree, x: jax.Array, y: jax.Array, key: jax.Array) -> tuple[jax.Array, Tree]:
        logits, new_running = forward(net, params, running, x, key)
        return loss(net, logits, y), new_running

    def step(state: Tree, x: jax.Array, y: jax.Array) -> tuple[Tree, jax.Array]:
        key = jax.random.fold_in(jax.random.key(0), state["step"])
        params, number = state["params"], state["step"] + 1
        (value, running), slopes = jax.value_and_grad(loss_of, has_aux=True)(params, state["running"], x, y, key)
        new, moments = update(net, params, slopes, state["moments"], number)
        return {"params": new, "running": running, "moments": moments, "step": number}, value

    return step


def loss(net: Net, logits: jax.Array, y: jax.Array) -> jax.Array:
    if net.head == "softmax":
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()
    return (jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits)))).mean()


def start(net: Net, params: Tree) -> tuple[Tree, ...]:
    """What the optimizer keeps, all zero."""
    count = 2 if net.optimizer == "adam" else int(net.settings["momentum"] > 0)
    return tuple(jax.tree.map(jnp.zeros_like, params) for _ in range(count))


def update(
    net: Net, params: Tree, slopes: Tree, moments: tuple[Tree, ...], number: jax.Array
) -> tuple[Tree, tuple[Tree, ...]]:
    """The optimizer: new parameters and new moments. `number` counts steps from 1."""
    s = net.settings
    if net.optimizer == "adam":
        return adam(s, params, slopes, moments, number)
    assert net.optimizer == "sgd" and not s["nesterov"]
    if moments:
        slopes = jax.tree.map(lambda v, g: s["momentum"] * v + g, moments[0], slopes)
        moments = (slopes,)
    return jax.tree.map(lambda w, g: w - s["lr"] * g, params, slopes), moments


def adam(
    s: Tree, params: Tree, slopes: Tree, moments: tuple[Tree, ...], number: jax.Array
) -> tuple[Tree, tuple[Tree, ...]]:
    first = jax.tree.map(lambda m, g: s["beta1"] * m + (1 - s["beta1"]) * g, moments[0], slopes)
    second = jax.tree.map(lambda v, g: s["beta2"] * v + (1 - s["beta2"]) * g * g, moments[1], slopes)
    c1, c2 = 1 / (1 - s["beta1"] ** number), 1 / (1 - s["beta2"] ** number)
    new = jax.tree.map(
        lambda w, m, v: w - (s["lr"] * (m * c1) / (jnp.sqrt(v * c2) + s["eps"])).astype(w.dtype), params, first, second
    )
    return new, (first, second)


# ------------------------------------------------------------------------------------------------ layers


def forward(net: Net, params: Tree, running: Tree, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, Tree]:
    """The logits and the new running averages; without a key in prediction mode."""
    values, new_running = [x], dict(running)
    for number, step in enumerate(net.steps):
        xs = [values[i] for i in step.inputs]
        if step.kind == "batchnorm":
            values.append(batchnorm(step, params, new_running, xs[0], key is not None))
        elif step.kind == "dropout":
            values.append(dropout(step, xs[0], None if key is None else jax.random.fold_in(key, number)))
        else:
            values.append(LAYERS[step.kind](step, params, *xs))
    return values[-1], new_running


def dense(step: Step, params: Tree, x: jax.Array) -> jax.Array:
    return x @ params[f"{step.name}.weight"] + params.get(f"{step.name}.bias", 0)


def conv(step: Step, params: Tree, x: jax.Array) -> jax.Array:
    a = step.args
    y = lax.conv_general_dilated(
        x, params[f"{step.name}.weight"], a["stride"], [(p, p) for p in a["pad"]],
        rhs_dilation=a["dilation"], dimension_numbers=IMAGES, feature_group_count=a["groups"],
    )  # fmt: skip
    return y + params.get(f"{step.name}.bias", 0)


def pool(step: Step, x: jax.Array, fill: float, join: Callable[..., jax.Array]) -> jax.Array:
    a = step.args
    pads = [(0, 0), *((p, p) for p in a["pad"]), (0, 0)]
    return lax.reduce_window(x, np.asarray(fill, x.dtype), join, (1, *a["size"], 1), (1, *a["stride"], 1), pads)


def maxpool(step: Step, params: Tree, x: jax.Array) -> jax.Array:
    return pool(step, x, -np.inf, lax.max)


def avgpool(step: Step, params: Tree, x: jax.Array) -> jax.Array:
    assert step.args["pad"] == (0, 0)
    return pool(step, x, 0, lax.add) / float(np.prod(step.args["size"]))


def batchnorm(step: Step, params: Tree, running: Tree, x: jax.Array, training: bool) -> jax.Array:
    """Normalizes; in training changes the averages in `running`."""
    keep, names = step.args["momentum"], (f"{step.name}.mean", f"{step.name}.var")
    mean, var = (running[name] for name in names)
    if training:
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        var = jnp.maximum((x * x).mean(axes) - mean * mean, 0)
        for name, new in zip(names, (mean, var), strict=True):
            running[name] = keep * running[name] + (1 - keep) * lax.stop_gradient(new)
    scale = params[f"{step.name}.gamma"] * lax.rsqrt(var + step.args["eps"])
    return (x - mean) * scale + params[f"{step.name}.beta"]


def dropout(step: Step, x: jax.Array, key: jax.Array | None) -> jax.Array:
    if key is None:
        return x
    keep = 1 - step.args["rate"]
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)


LAYERS: dict[str, Callable[..., jax.Array]] = {
    "dense": dense,
    "conv": conv,
    "maxpool": maxpool,
    "avgpool": avgpool,
    "global_avgpool": lambda step, params, x: x.mean((1, 2)),
    "flatten": lambda step, params, x: x.reshape(len(x), -1),
    "add": lambda step, params, x, y: x + y,
    "relu": lambda step, params, x: jax.nn.relu(x),
    "tanh": lambda step, params, x: jnp.tanh(x),
}
