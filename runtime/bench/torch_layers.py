"""Layers and losses in PyTorch. Values lie as in dslc, channels last; images are passed on as views with channels
first, so that the layout of memory is that of the input: either of PyTorch's two formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch.nn import functional

from dslc.ir import Node
from dslc.runtime.bench.contender import Unknown

Inputs = list[torch.Tensor]
Roles = Mapping[str, torch.Tensor]
LayerFunction = Callable[[Node, Inputs, Roles, bool], torch.Tensor]


def channels_first(x: torch.Tensor) -> torch.Tensor:
    """(n, rows, columns, channels) as (n, channels, rows, columns), a view."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """And back."""
    return x.permute(0, 2, 3, 1)


def _own(node: Node) -> Any:
    """The layer, with the arguments of its kind."""
    return node.layer


def _conv(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    x = functional.pad(channels_first(xs[0]), _pads(layer.window, node))
    y = functional.conv2d(x, p["weight"], p.get("bias"), layer.stride, 0, layer.dilation, layer.groups)
    return channels_last(y)


def _pads(window: Any, node: Node) -> list[int]:
    """As `functional.pad` wants them: columns before rows."""
    (top, bottom), (left, right) = (window.padding(axis, node.input_shapes[0][axis]) for axis in (0, 1))
    return [left, right, top, bottom]


def _maxpool(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    window = layer.window_for(node.input_shapes[0])
    x = functional.pad(channels_first(xs[0]), _pads(window, node), value=-torch.inf)
    y = channels_last(functional.max_pool2d(x, window.size, window.stride, ceil_mode=window.ceil))
    return y.reshape(len(y), *node.output.shape)


def _avgpool(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """The mean of the real pixels; PyTorch counts them itself where the padding is even."""
    layer: Any = node.layer
    window = layer.window_for(node.input_shapes[0])
    if window.ceil or layer.counts_padding:
        raise Unknown("avgpool with ceil or count_pad")
    left, right, top, bottom = _pads(window, node)
    x = channels_first(xs[0])
    if (left, top) == (right, bottom):
        y = functional.avg_pool2d(x, window.size, window.stride, (top, left), count_include_pad=False)
    else:
        pads = [left, right, top, bottom]
        sums, real = (
            functional.avg_pool2d(functional.pad(part, pads), window.size, window.stride, divisor_override=1)
            for part in (x, torch.ones_like(x))
        )
        y = sums / real
    return channels_last(y).reshape(len(y), *node.output.shape)


def _batchnorm(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """In training the running averages change in place; PyTorch's take the unbiased variance."""
    layer: Any = node.layer
    image = xs[0].ndim == 4
    x = channels_first(xs[0]) if image else xs[0]
    y = functional.batch_norm(
        x, p["mean"], p["var"], p["gamma"], p["beta"], training, momentum=1 - layer.momentum, eps=layer.eps
    )
    return channels_last(y) if image else y


def _layernorm(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    layer: Any = node.layer
    return functional.layer_norm(xs[0], node.input_shapes[0], p["gamma"], p["beta"], layer.eps)


def _lrn(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """PyTorch multiplies the mean by alpha, dslc the sum."""
    a: Any = node.layer
    y = functional.local_response_norm(channels_first(xs[0]), a.size, a.alpha * a.size, a.beta, a.k)
    return channels_last(y)


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
    "dropout": lambda node, xs, p, training: functional.dropout(xs[0], _own(node).drop, training),
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
    "gelu": lambda node, xs, p, training: functional.gelu(xs[0], approximate=_own(node).approximate),
    "elu": _elementwise(functional.elu),
    "softplus": _elementwise(functional.softplus),
    "tanh": _elementwise(torch.tanh), "sigmoid": _elementwise(torch.sigmoid),
    "leaky_relu": lambda node, xs, p, training: functional.leaky_relu(xs[0], _own(node).alpha),
    "softmax": _elementwise(lambda x: torch.softmax(x, -1)),
}  # fmt: skip


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
