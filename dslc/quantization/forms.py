"""What each layer is to integer arithmetic. A form has the numbers of the layer, still real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dslc.ir import Node
from dslc.layers import Mode
from dslc.layers._pooling import Pool
from dslc.layers.conv import Conv
from dslc.numerics import Array, np
from dslc.quantization.program import Window
from dslc.shape import Pair, Shape, as_image

Own = Mapping[str, Array]
"""The parameters of a layer by role."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution with weights (filters, rows, columns, channels / groups) and a bias (filters,), in double
    precision. `saturates`: the relu or relu6 behind it."""

    window: Window
    groups: int
    weight: Array
    bias: Array
    saturates: str = ""


@dataclass(frozen=True)
class Pooling:
    """The maximum or the mean of windows; `counted` as in `PoolDetail`."""

    window: Window
    mean: bool
    counted: Pair | None = None


@dataclass(frozen=True)
class Joined:
    """The sum of values, each times a sign, or with no signs their channels side by side."""

    signs: tuple[int, ...] = ()
    saturates: str = ""


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A function of one number."""

    value: Callable[[Array], Array]


Form = Affine | Pooling | Joined | Elementwise


def followed_by(before: Affine, node: Node, own: Own) -> Affine:
    """With a factor and a shift for each channel behind it."""
    factor, shift = channel_affine(node, own)
    return Affine(
        before.window, before.groups, before.weight * factor[:, None, None, None], before.bias * factor + shift
    )


def channel_affine(node: Node, own: Own) -> tuple[Array, Array]:
    """The factor and the shift of each channel, for a batchnorm, a scale or a standardize."""
    kind = type(node.layer).__name__
    p = {role: np.asarray(a, np.float64) for role, a in own.items()}
    if kind == "BatchNorm":
        layer: Any = node.layer
        factor = p["gamma"] / np.sqrt(p["var"] + layer.eps)
        return factor, p["beta"] - p["mean"] * factor
    if kind == "Scale":
        return p["factor"], np.zeros_like(p["factor"])
    return 1 / p["std"], -p["mean"] / p["std"]


def _pixels(shape: Shape) -> Shape:
    """A vector as an image of one pixel, a sequence as one of one row."""
    return (1, 1, *shape) if len(shape) == 1 else as_image(shape)


def _convolution(conv: Conv, image: Shape, weight: Array, bias: Array | None) -> Affine:
    before = (conv.window.padding(0, image[0])[0], conv.window.padding(1, image[1])[0])
    window = Window(image, conv.infer((image,)), conv.size, conv.stride, before, conv.dilation)
    weight = np.asarray(weight, np.float64).reshape(*conv.size, -1, conv.filters).transpose(3, 0, 1, 2)
    return Affine(window, conv.groups, weight, np.zeros(conv.filters) if bias is None else np.asarray(bias, np.float64))


def _conv(node: Node, own: Own) -> Form:
    layer: Any = node.layer
    image = as_image(node.inputs[0].shape)
    kind = type(layer).__name__
    conv = layer.conv(image) if kind == "Depthwise" else layer.conv if kind == "Conv1d" else layer
    return _convolution(conv, image, own["weight"], own.get("bias"))


def _dense(node: Node, own: Own) -> Form:
    layer: Any = node.layer
    weight = own["weight"] if layer.turned else own["weight"].T
    return _convolution(Conv(layer.units, (1, 1)), _pixels(node.inputs[0].shape), weight, own.get("bias"))


def _channels(node: Node, own: Own) -> Form:
    """A factor and a shift a channel, as a convolution of each channel alone."""
    factor, shift = channel_affine(node, own)
    image = _pixels(node.inputs[0].shape)
    channels = image[2]
    conv = Conv(channels, (1, 1), groups=channels)
    return _convolution(conv, image, factor, shift)


def _pool(node: Node) -> Form:
    layer: Any = node.layer
    image = as_image(node.inputs[0].shape)
    window = layer.window_for(image)
    (top, bottom), (left, right) = (window.padding(axis, image[axis]) for axis in (0, 1))
    counted = (image[0] + bottom, image[1] + right) if layer.counts_padding else None
    sizes = Window(image, layer.pooled(image), window.size, window.stride, (top, left))
    return Pooling(sizes, layer.mean, counted)


def _add(node: Node, own: Own) -> Form:
    return Joined((1,) * len(node.inputs))


def _subtract(node: Node, own: Own) -> Form:
    return Joined((1, -1))


def _concat(node: Node, own: Own) -> Form:
    return Joined()


def _other(node: Node, own: Own) -> Form:
    """A pooling or an activation."""
    layer = node.layer
    if isinstance(layer, Pool):
        return _pool(node)
    return Elementwise(lambda x: layer.reference((x,), {}, Mode(False)).y)


FORMS: Mapping[str, Callable[[Node, Own], Form]] = {
    "add": _add,
    "batchnorm": _channels,
    "concat": _concat,
    "conv": _conv,
    "conv1d": _conv,
    "dense": _dense,
    "depthwise": _conv,
    "scale": _channels,
    "standardize": _channels,
    "subtract": _subtract,
    "": _other,
}
"""By the name of a layer that `integer_groups` knows; `""` for all others."""
