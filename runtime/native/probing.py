"""Gradients of inputs, from a network whose inputs are parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dslc import derived
from dslc.ir import Network
from dslc.runtime.native.parameters import Parameters

Array = np.ndarray[Any, Any]
Gradients = Callable[[dict[str, Array], dict[str, Array]], Mapping[str, Array]]


def input_gradients(
    network: Network, parameters: Parameters, gradients: Gradients, xs: list[Array], ys: list[Array]
) -> list[Array]:
    """For inputs (n, *input) and targets of `network` the gradients of each example's loss, one example at a time, and
    zeros for inputs that have none. parameters, gradients: those of its twin `derived.with_inputs_as_parameters`."""
    found = [np.zeros_like(array) for array in xs]
    for i in range(len(xs[0])):
        given = {value.name: array[i : i + 1] for value, array in zip(network.inputs, xs, strict=True)}
        for value in derived.with_gradients(network):
            parameters[derived.factor_of(value)][...] = given[value.name].ravel()
            given[value.name] = np.ones((1, value.elements), xs[0].dtype)
        slopes = gradients(given, {head.name: y[i : i + 1] for head, y in zip(network.heads, ys, strict=True)})
        for value, result in zip(network.inputs, found, strict=True):
            if value in derived.with_gradients(network):
                result[i] = slopes[derived.factor_of(value)].reshape(value.shape)
    return found
