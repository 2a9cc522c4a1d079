"""Normalizations, and layers with a factor a channel, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place, axes_of, channels_to_end, channels_to_front
from dslc.numerics import np


def _batchnorm(at: Place) -> str:
    roles = ("gamma", "beta", "mean", "var")
    return at.op("BatchNormalization", *at.x, *map(at.weight, roles), epsilon=at.layer.eps)


def _standardize(at: Place) -> str:
    return at.op("Div", at.op("Sub", *at.x, at.by_channel("mean")), at.by_channel("std"))


def _target_unit(at: Place) -> str:
    return at.op("Add", at.op("Mul", *at.x, at.by_channel("std")), at.by_channel("mean"))


def _scale(at: Place) -> str:
    return at.op("Mul", *at.x, at.by_channel("factor"))


def _layernorm(at: Place) -> str:
    """Over all axes but the batch, with gamma and beta whose channels are first; of a sequence over the channels."""
    if at.parameters["gamma"].ndim < len(at.shape):
        last = at.op("Transpose", *at.x, perm=channels_to_end(at.shape))
        normal = at.op("LayerNormalization", last, at.weight("gamma"), at.weight("beta"), epsilon=at.layer.eps)
        return at.op("Transpose", normal, perm=channels_to_front(at.shape))
    first = [at.weight(role, np.moveaxis(at.parameters[role], -1, 0)) for role in ("gamma", "beta")]
    return at.op("LayerNormalization", *at.x, *first, axis=1, epsilon=at.layer.eps)


def _groupnorm(at: Place) -> str:
    """A group of channels with its pixels as one channel of an InstanceNormalization."""
    groups, (*pixels, channels) = at.layer.groups_of(at.shape), at.shape
    ones = at.parts.constant(f"{at.node.name}/ones", np.ones(groups, np.float32))
    zeros = at.parts.constant(f"{at.node.name}/zeros", np.zeros(groups, np.float32))
    apart = at.reshaped(at.x[0], "groups", groups, -1)
    normal = at.op("InstanceNormalization", apart, ones, zeros, epsilon=at.layer.eps)
    whole = at.reshaped(normal, "whole", channels, *pixels)
    if not at.layer.affine:
        return whole
    return at.op("Add", at.op("Mul", whole, at.by_channel("gamma")), at.by_channel("beta"))


def _rmsnorm(at: Place) -> str:
    mean = at.op("ReduceMean", at.op("Mul", *at.x, *at.x), axes=[1])
    size = at.op("Sqrt", at.op("Add", mean, at.number(at.layer.eps)))
    return at.op("Mul", at.op("Div", *at.x, size), at.by_channel("weight"))


def _l2_normalize(at: Place) -> str:
    return at.op("Div", *at.x, at.op("Max", at.op("ReduceL2", *at.x, axes=[1]), at.number(at.layer.eps)))


def _lrn(at: Place) -> str:
    """ONNX divides alpha by size, and knows images only: the steps of a sequence are rows of one pixel."""
    layer, (x,), shape = at.layer, at.x, axes_of(at.shape)
    image = x if len(shape) == 3 else at.reshaped(x, "image", *shape, 1)
    y = at.op("LRN", image, size=layer.size, alpha=layer.alpha * layer.size, beta=layer.beta, bias=layer.k)
    return y if len(shape) == 3 else at.reshaped(y, "shape", *shape)


FORMS: Mapping[str, Form] = {
    "target_unit": _target_unit,
    "batchnorm": _batchnorm,
    "groupnorm": _groupnorm,
    "instancenorm": _groupnorm,
    "l2_normalize": _l2_normalize,
    "layernorm": _layernorm,
    "lrn": _lrn,
    "rmsnorm": _rmsnorm,
    "scale": _scale,
    "standardize": _standardize,
}
"""By the name of the layer."""
