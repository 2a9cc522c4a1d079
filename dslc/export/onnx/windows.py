"""Layers with windows that slide over images, and dense, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslc.export.onnx.place import Form, Place
from dslc.layers.conv import Conv
from dslc.numerics import Array, np
from dslc.shape import Shape, Window


def pads_of(window: Window, shape: Shape) -> list[int]:
    """top, left, bottom, right."""
    (top, bottom), (left, right) = (window.padding(axis, shape[axis]) for axis in (0, 1))
    return [top, left, bottom, right]


def _filters(weight: Array) -> Array:
    """(rows, columns, channels / groups, filters) as (filters, channels / groups, rows, columns)."""
    return weight.transpose(3, 2, 0, 1)


def _convolution(at: Place, layer: Conv, x: str, role: str, bias: bool) -> str:
    inputs = (x, at.weight(role, _filters(at.parameters[role])), *((at.weight("bias"),) if bias else ()))
    return at.op(
        "Conv", *inputs, kernel_shape=list(layer.size), strides=list(layer.stride), dilations=list(layer.dilation),
        group=layer.groups, pads=pads_of(layer.window, at.shape),
    )  # fmt: skip


def _conv(at: Place) -> str:
    return _convolution(at, at.layer, at.x[0], "weight", at.layer.bias)


def _depthwise(at: Place) -> str:
    return _convolution(at, at.layer.conv(at.shape), at.x[0], "weight", at.layer.bias)


def _separable_conv(at: Place) -> str:
    """The filters of each channel, then those of 1x1."""
    between = _convolution(at, at.layer.depthwise.conv(at.shape), at.x[0], "depthwise", bias=False)
    return _convolution(at, at.layer.pointwise, between, "pointwise", at.layer.bias)


def _conv_transpose(at: Place) -> str:
    """Its filters (rows, columns, filters / groups, channels) as (channels, filters / groups, rows, columns)."""
    layer, (rows, columns) = at.layer, at.layer.pad
    weight = at.weight("weight", _filters(at.parameters["weight"]))
    return at.op(
        "ConvTranspose", *at.x, weight, *((at.weight("bias"),) if layer.bias else ()),
        kernel_shape=list(layer.size), strides=list(layer.stride), dilations=list(layer.dilation), group=layer.groups,
        pads=[rows, columns, rows, columns], output_padding=list(layer.output_pad),
    )  # fmt: skip


def _dense(at: Place) -> str:
    """Of a sequence a convolution whose window is one step."""
    bias = (at.weight("bias"),) if at.layer.bias else ()
    if len(at.shape) == 2:
        weight = at.parameters["weight"].T if at.layer.turned else at.parameters["weight"]
        return at.op("Conv", *at.x, at.weight("weight", weight[..., None]), *bias, kernel_shape=[1])
    return at.op("Gemm", *at.x, at.weight("weight"), *bias, transB=int(not at.layer.turned))


def reach_of(window: Window, shape: Shape) -> list[int]:
    """The padding, with as many rows and columns more as the last windows reach beyond it."""
    pads = pads_of(window, shape)
    for axis in (0, 1):
        end = (window.output(axis, shape[axis]) - 1) * window.stride[axis] + window.extent(axis)
        pads[2 + axis] += max(0, end - shape[axis] - pads[axis] - pads[2 + axis])
    return pads


def _pool(at: Place, kind: str, x: str, pads: list[int], **attributes: Any) -> str:
    window = at.layer.window_for(at.shape)
    return at.op(kind, x, kernel_shape=list(window.size), strides=list(window.stride), pads=pads, **attributes)


def _maxpool(at: Place) -> str:
    return _pool(at, "MaxPool", at.x[0], reach_of(at.layer.window_for(at.shape), at.shape))


def _avgpool(at: Place) -> str:
    """Padding that counts becomes zeros of the image; what windows reach beyond it never counts."""
    window, x = at.layer.window_for(at.shape), at.x[0]
    pads, own = reach_of(window, at.shape), pads_of(window, at.shape)
    if at.layer.counts_padding and any(own):
        x, pads = padded(at, x, own), [reach - pad for reach, pad in zip(pads, own, strict=True)]
    return _pool(at, "AveragePool", x, pads, count_include_pad=0)


def padded(at: Place, x: str, pads: list[int]) -> str:
    """An image with zeros around it: top, left, bottom, right."""
    return at.op("Pad", x, at.indices("pads", (0, 0, *pads[:2], 0, 0, *pads[2:])), mode="constant")


def global_pool(kind: str) -> Form:
    """Pooling over all pixels or steps."""

    def form(at: Place) -> str:
        pixel = at.op(kind, *at.x)
        return pixel if at.layer.keep else at.op("Flatten", pixel)

    return form


def _zeropad(at: Place) -> str:
    (top, bottom), (left, right) = at.layer.pad
    return padded(at, at.x[0], [top, left, bottom, right])


def _upsample(at: Place) -> str:
    scales = at.parts.constant(f"{at.node.name}/scales", np.array((1, 1, *at.layer.scale), np.float32))
    how: dict[str, object] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if at.layer.mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return at.op("Resize", *at.x, "", scales, **how)


def _crop(at: Place) -> str:
    """The center, as at prediction."""
    start = [(n - m) // 2 for n, m in zip(at.shape[:2], at.layer.size, strict=True)]
    return at.part(at.x[0], start, [s + m for s, m in zip(start, at.layer.size, strict=True)], (2, 3))


FORMS: Mapping[str, Form] = {
    "avgpool": _avgpool,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "crop": _crop,
    "dense": _dense,
    "depthwise": _depthwise,
    "maxpool": _maxpool,
    "separable_conv": _separable_conv,
    "upsample": _upsample,
    "zeropad": _zeropad,
}
"""By the name of the layer."""
