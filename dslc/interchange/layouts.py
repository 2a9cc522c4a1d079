"""Arrays of other programs in the axes and the order of the language."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.interchange.foreign import Module
from dslc.ir import Node, Parameter
from dslc.numerics import Array, np
from dslc.registry import name_of

ROLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "batchnorm": {"gamma": ("weight", "gamma"), "beta": ("bias", "beta"), "mean": ("running_mean", "moving_mean"),
                  "var": ("running_var", "moving_variance")},
    "separable_conv": {"depthwise": ("depthwise_kernel",), "pointwise": ("pointwise_kernel",), "bias": ("bias",)},
    "groupnorm": {"gamma": ("weight", "gamma"), "beta": ("bias", "beta")},
    "instancenorm": {"gamma": ("weight", "gamma"), "beta": ("bias", "beta")},
    "layernorm": {"gamma": ("weight", "gamma"), "beta": ("bias", "beta")},
    "prelu": {"slope": ("weight", "alpha")},
    "scale": {"factor": ("weight", "gamma")},
    "standardize": {"mean": ("mean",), "std": ("std",)},
}  # fmt: skip
"""What other programs call the parameters of a layer; of all others weight and bias."""
USUAL: Mapping[str, tuple[str, ...]] = {
    "weight": ("weight", "kernel", "depthwise_kernel", "gamma", "scale"),
    "bias": ("bias",),
}


def theirs(node: Node, parameter: Parameter, module: Module) -> str | None:
    """The role that a module has for a parameter; None if it has none."""
    role = parameter.name.removeprefix(f"{node.name}.")
    names = (role, *ROLES.get(name_of(node.layer), USUAL).get(role, ()))
    return next((name for name in names if name in module.arrays), None)


def turned(node: Node, parameter: Parameter, array: Array, layout: str, orders: Mapping[str, Array]) -> Array | None:
    """An array in the parameter's shape, and in single precision; None where its shape does not fit."""
    array = np.asarray(array, np.float32)
    kind, role = name_of(node.layer), parameter.name.removeprefix(f"{node.name}.")
    if role in ("weight", "depthwise", "pointwise") and array.ndim > 1:
        array = _filters(array, kind, layout, parameter)
    elif kind == "layernorm" and layout == "torch" and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    elif array.size == parameter.elements and (kind == "prelu" or array.ndim == 1 == len(parameter.shape)):
        array = array.reshape(parameter.shape)
    if array.shape != parameter.shape:
        return None
    return _ordered(node, array, orders) if layout == "torch" else array


def _filters(array: Array, kind: str, layout: str, parameter: Parameter) -> Array:
    """Filters (rows, columns, channels / groups, filters), dense weights (units, inputs)."""
    if layout == "keras":
        if kind == "dense":
            return array.T
        if array.ndim == 3:
            array = array[None]
        depthwise = kind == "depthwise" or parameter.name.endswith(".depthwise")
        return array.reshape(*array.shape[:2], 1, -1) if depthwise and array.ndim == 4 else array
    if array.ndim == 3:
        array = array[:, :, None]
    if array.ndim == 4 and kind == "dense" and array.shape[2:] == (1, 1):
        return array[:, :, 0, 0]
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _ordered(node: Node, array: Array, orders: Mapping[str, Array]) -> Array:
    """With inputs, units or features in our order where they are the numbers of an image."""
    given, result = orders.get(node.inputs[0].name), orders.get(node.output.name)
    if name_of(node.layer) == "dense":
        if array.ndim == 2 and given is not None:
            array = array[:, given]
        return array if result is None else array[result]
    if given is not None and array.shape == node.inputs[0].shape:
        return array[given]
    return array
