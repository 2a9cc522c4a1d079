"""A checked network in PyTorch, in any precision: what dslc's accuracy is compared with.

Values lie as in dslc, channels last, which PyTorch reads as its own channels-last format where it wants images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dslc.ir import Head, Network, Node, Parameter, Value
from dslc.registry import name_of

Array = np.ndarray[Any, Any]
Tensors = dict[str, torch.Tensor]


class Unknown(Exception):
    """The network has something that is not translated; the message names it."""


class TorchNetwork:
    """The network with these parameters, in the precision `dtype`.

    Raises:
        Unknown: a layer, loss, regularizer or optimizer is not translated, or the network is not trained.
    """

    def __init__(self, network: Network, parameters: Mapping[str, Array], dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype
        self.parameters = {p.name: self._leaf(p, parameters[p.name]) for p in network.parameters}
        self.optimizer = self._make_optimizer()

    def _leaf(self, p: Parameter, array: Array) -> torch.Tensor:
        """A parameter in PyTorch's order, filters first."""
        moved = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        return torch.tensor(np.ascontiguousarray(moved), dtype=self.dtype, requires_grad=p.learns)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        training = self.network.training
        if training is None or training.clip is not None or training.schedule is not None:
            raise Unknown("training without `train`, with clip or with a schedule")
        name, s = name_of(training.optimizer), asdict(training.optimizer)
        betas = (s.get("beta1"), s.get("beta2"))
        learning = {p.name: p for p in self.network.parameters if p.learns}
        every = [self.parameters[name] for name in learning]
        decaying = [{"params": [self.parameters[n] for n, p in learning.items() if p.decays == decays],
                     "weight_decay": s.get("weight_decay", 0.0) * decays} for decays in (True, False)]  # fmt: skip
        makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
            "sgd": lambda: torch.optim.SGD(every, s["lr"], s["momentum"], nesterov=s["nesterov"]),
            "adam": lambda: torch.optim.Adam(every, s["lr"], betas, s["eps"]),
            "adamw": lambda: torch.optim.AdamW(decaying, s["lr"], betas, s["eps"]),
        }
        return _known(makers, name, "optimizer")()

    # ------------------------------------------------------------------------------------------- what is compared

    def values(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every value of a forward pass in training, by name."""
        with torch.no_grad():
            return {name: value.numpy() for name, value in self._run(inputs, training=True).items()}

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by head."""
        with torch.no_grad():
            values = self._run(inputs, training=False)
        return {head.name: values[head.value.name].numpy() for head in self.network.heads}

    def gradients(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> dict[str, Array]:
        """The gradients of what learns, in dslc's order."""
        self.optimizer.zero_grad()
        self._loss(inputs, targets).backward()
        return {p.name: self._array(self._slope(p.name)) for p in self.network.parameters if p.learns}

    def train_step(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> None:
        """One update of the parameters and the running averages."""
        self.optimizer.zero_grad()
        averages: Tensors = {}
        self._loss(inputs, targets, averages).backward()
        self.optimizer.step()
        self.parameters |= averages

    def arrays(self) -> dict[str, Array]:
        """All parameters, in dslc's order."""
        return {name: self._array(tensor.detach()) for name, tensor in self.parameters.items()}

    def _slope(self, name: str) -> torch.Tensor:
        tensor = self.parameters[name]
        return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad

    @staticmethod
    def _array(tensor: torch.Tensor) -> Array:
        return (tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor).numpy().copy()

    # ------------------------------------------------------------------------------------------- running

    def _run(self, inputs: Mapping[str, Array], training: bool, averages: Tensors | None = None) -> Tensors:
        """Every value by name; `averages` gets the new running averages."""
        values = {name: torch.tensor(array, dtype=self.dtype) for name, array in inputs.items()}
        for node in self.network.nodes:
            layer = _known(LAYERS, name_of(node.layer), "layer")
            p = {role: self.parameters[p.name] for role, p in node.roles.items()}
            xs = [values[value.name] for value in node.inputs]
            values[node.output.name] = layer(node, xs, p, training)
            if averages is not None and name_of(node.layer) == "batchnorm":
                averages |= _new_averages(node, xs[0], p)
        return values

    def _loss(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], averages: Tensors | None = None
    ) -> torch.Tensor:
        values = self._run(inputs, True, averages)
        total = torch.zeros((), dtype=self.dtype)
        for head in self.network.heads:
            assert head.loss is not None
            z, target = values[self._judged(head).name], torch.tensor(targets[head.name])
            total = total + head.loss.weight * _known(LOSSES, name_of(head.loss), "loss")(head.loss, z, target)
        count = len(next(iter(inputs.values())))
        for p in self.network.parameters:
            for penalty in p.regularizers:
                if name_of(penalty) != "l2":
                    raise Unknown(f"the regularizer {name_of(penalty)}")
                total = total + penalty.strength / (2 * count) * (self.parameters[p.name] ** 2).sum()
        return total

    def _judged(self, head: Head) -> Value:
        """What the loss is computed from: what flows into the head's softmax or sigmoid, where the loss knows it."""
        producer = self.network.producer(head.value)
        through = head.loss is not None and head.loss.through is not None
        return producer.inputs[0] if through and producer is not None else head.value


def _known(table: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in table:
        raise Unknown(f"the {kind} {name}")
    return table[name]


# ----------------------------------------------------------------------------------------------- layers


Inputs, Roles = list[torch.Tensor], Mapping[str, torch.Tensor]
LayerFunction = Callable[[Node, Inputs, Roles, bool], torch.Tensor]


def _channels_first(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def _conv(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    x = functional.pad(_channels_first(xs[0]), _pads(layer.window, node))
    y = functional.conv2d(x, p["weight"], p.get("bias"), layer.stride, 0, layer.dilation, layer.groups)
    return _channels_last(y)


def _pads(window: Any, node: Node) -> list[int]:
    """As `functional.pad` wants them: columns before rows."""
    (top, bottom), (left, right) = (window.padding(axis, node.input_shapes[0][axis]) for axis in (0, 1))
    return [left, right, top, bottom]


def _maxpool(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    window = node.layer.window_for(node.input_shapes[0])  # type: ignore[attr-defined]
    x = functional.pad(_channels_first(xs[0]), _pads(window, node), value=-torch.inf)
    y = _channels_last(functional.max_pool2d(x, window.size, window.stride, ceil_mode=window.ceil))
    return y.reshape(len(y), *node.output.shape)


def _avgpool(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """The mean of the real pixels; PyTorch counts them itself where the padding is even."""
    window = node.layer.window_for(node.input_shapes[0])  # type: ignore[attr-defined]
    if window.ceil or node.layer.counts_padding:  # type: ignore[attr-defined]
        raise Unknown("ceil and count_pad")
    left, right, top, bottom = _pads(window, node)
    x = _channels_first(xs[0])
    if (left, top) == (right, bottom):
        y = functional.avg_pool2d(x, window.size, window.stride, (top, left), count_include_pad=False)
    else:
        pads = [left, right, top, bottom]
        sums, real = (
            functional.avg_pool2d(functional.pad(part, pads), window.size, window.stride, divisor_override=1)
            for part in (x, torch.ones_like(x))
        )
        y = sums / real
    return _channels_last(y).reshape(len(y), *node.output.shape)


def _batchnorm(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    averages = (None, None) if training else (p["mean"], p["var"])
    image = xs[0].ndim == 4
    x = _channels_first(xs[0]) if image else xs[0]
    y = functional.batch_norm(x, *averages, p["gamma"], p["beta"], training, eps=layer.eps)
    return _channels_last(y) if image else y


def _new_averages(node: Node, x: torch.Tensor, p: Roles) -> Tensors:
    """By hand, since PyTorch's take the unbiased variance."""
    momentum: float = node.layer.momentum  # type: ignore[attr-defined]
    axes = tuple(range(x.ndim - 1))
    found = {"mean": x.detach().mean(axes), "var": x.detach().var(axes, unbiased=False)}
    return {f"{node.name}.{role}": momentum * p[role] + (1 - momentum) * new for role, new in found.items()}


def _layernorm(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    return functional.layer_norm(xs[0], node.input_shapes[0], p["gamma"], p["beta"], layer.eps)


def _lrn(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """PyTorch multiplies the mean by alpha, dslc the sum."""
    a: Any = node.layer
    y = functional.local_response_norm(_channels_first(xs[0]), a.size, a.alpha * a.size, a.beta, a.k)
    return _channels_last(y)


def _elementwise(function: Callable[..., torch.Tensor]) -> LayerFunction:
    return lambda node, xs, p, training: function(xs[0])


def _combined(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> LayerFunction:
    """One value after the other; a vector of channels beside images is an image of one pixel."""

    def layer(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
        images = any(x.ndim == 4 for x in xs)
        return reduce(function, (x[:, None, None] if images and x.ndim == 2 else x for x in xs))

    return layer


LAYERS: dict[str, LayerFunction] = {
    "dense": lambda node, xs, p, training: functional.linear(xs[0], p["weight"], p.get("bias")),
    "conv": _conv,
    "maxpool": _maxpool, "global_maxpool": _maxpool,
    "avgpool": _avgpool, "global_avgpool": _avgpool,
    "flatten": lambda node, xs, p, training: xs[0].flatten(1),
    "reshape": lambda node, xs, p, training: xs[0].reshape(len(xs[0]), *node.output.shape),
    "batchnorm": _batchnorm, "layernorm": _layernorm, "lrn": _lrn,
    "add": _combined(torch.add), "subtract": _combined(torch.sub), "multiply": _combined(torch.mul),
    "divide": _combined(torch.div), "maximum": _combined(torch.maximum), "minimum": _combined(torch.minimum),
    "mean": lambda node, xs, p, training: _combined(torch.add)(node, xs, p, training) / len(xs),
    "concat": lambda node, xs, p, training: torch.cat(xs, -1),
    "linear": _elementwise(lambda x: x),
    "relu": _elementwise(functional.relu), "silu": _elementwise(functional.silu),
    "relu6": _elementwise(functional.relu6), "swish": _elementwise(functional.silu),
    "hard_sigmoid": _elementwise(functional.hardsigmoid), "hard_swish": _elementwise(functional.hardswish),
    "mish": _elementwise(functional.mish), "selu": _elementwise(functional.selu),
    "softsign": _elementwise(functional.softsign), "log_softmax": _elementwise(lambda x: torch.log_softmax(x, -1)),
    "glu": _elementwise(lambda x: functional.glu(x, -1)),
    "scale": lambda node, xs, p, training: xs[0] * p["factor"],
    "gelu": lambda node, xs, p, training: functional.gelu(xs[0], approximate=node.layer.approximate),  # type: ignore[attr-defined]
    "elu": _elementwise(functional.elu),
    "softplus": _elementwise(functional.softplus),
    "tanh": _elementwise(torch.tanh), "sigmoid": _elementwise(torch.sigmoid),
    "leaky_relu": lambda node, xs, p, training: functional.leaky_relu(xs[0], node.layer.alpha),  # type: ignore[attr-defined]
    "softmax": _elementwise(lambda x: torch.softmax(x, -1)),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------- losses


def _cross_entropy(loss: Any, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if loss.class_weights:
        raise Unknown("class_weights")
    return functional.cross_entropy(z, target, label_smoothing=loss.label_smoothing)


LOSSES: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": lambda loss, z, t: functional.binary_cross_entropy_with_logits(z, t.to(z.dtype)),
    "mse": lambda loss, z, t: functional.mse_loss(z, t.to(z.dtype)),
    "mae": lambda loss, z, t: functional.l1_loss(z, t.to(z.dtype)),
    "huber": lambda loss, z, t: functional.huber_loss(z, t.to(z.dtype), delta=loss.delta),
}
